"""Compares ids, tokens, offsets and decoded text with PyPI's tokenizers: usage: compare.py TOKENIZE PACKAGES VOCABULARIES [NAME...]"""
import pathlib
import struct
import subprocess
import sys

import numpy
import tokenizers

import texts
import vocabularies


def encoded(program, path, blob, count):
    data = subprocess.run([program, path], input=blob, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in range(count):
        tokens, = struct.unpack_from("<I", data, at)
        at += 4
        if tokens == 0xFFFFFFFF:
            size, = struct.unpack_from("<I", data, at)
            yield data[at + 4:at + 4 + size].decode(errors="replace")
            at += 4 + size
        else:
            size, = struct.unpack_from("<I", data, at + 12 * tokens)
            start = at + 12 * tokens + 4
            yield numpy.frombuffer(data, "<i4", 3 * tokens, at).reshape(3, tokens), data[start:start + size].decode()
            at = start + size


def check_tokens(program, path, reference):
    """The text of every id."""
    data = subprocess.run([program, path, "tokens"], stdout=subprocess.PIPE, check=True).stdout
    at = token_id = wrong = 0
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        if data[at + 4:at + 4 + size].decode() != (reference.id_to_token(token_id) or ""):
            wrong += 1
        at, token_id = at + 4 + size, token_id + 1
    if wrong:
        print(f"  {wrong} of {token_id} ids have another token")
    return wrong == 0


def same(ours, reference, decoded):
    if isinstance(ours, str) or ours[1] != decoded:
        return False
    ours = ours[0]
    offsets = numpy.array(reference.offsets, dtype="<i4").reshape(-1, 2)
    return (ours.shape[1] == len(reference.ids) and (ours[0] == reference.ids).all() and
            (ours[1] == offsets[:, 0]).all() and (ours[2] == offsets[:, 1]).all())


def shown(ours):
    return ours if isinstance(ours, str) else ([(int(i), int(s), int(e)) for i, s, e in ours[0].T[:24]], ours[1])


def main(program, packages, folder, names):
    novel_source = next(packages.glob("sentencepiece-*.tar.gz"))
    novel = vocabularies.tar_file(novel_source, novel_source.name.removesuffix(".tar.gz") + "/test/botchan.txt").decode()
    corpus = texts.all_texts(next(packages.glob("django-*.whl")), novel)
    blob = b"".join(struct.pack("<I", len(text)) + text for text in (text.encode() for text in corpus))
    print(f"{len(corpus)} texts, tokenizers {tokenizers.__version__}")
    passed = failed = 0
    for path in sorted(folder.glob("*.json")):
        if names and path.stem not in names:
            continue
        reference = tokenizers.Tokenizer.from_file(str(path))
        wrong = 0 if check_tokens(program, path, reference) else 1
        found = encoded(program, path, blob, len(corpus))
        right = 0
        for start in range(0, len(corpus), 1000):
            encodings = reference.encode_batch(corpus[start:start + 1000])
            decoded = reference.decode_batch([encoding.ids for encoding in encodings])
            for text, theirs, back in zip(corpus[start:start + 1000], encodings, decoded):
                ours = next(found)
                if same(ours, theirs, back):
                    right += 1
                    continue
                wrong += 1
                if wrong <= 5:
                    print(f"  {text!r}\n    modeld    {shown(ours)}\n    reference {list(zip(theirs.ids, theirs.offsets))[:24], back}")
        kind = type(reference.model).__name__
        print(f"{path.stem:12} {kind:9} {reference.get_vocab_size():7} tokens: {right} equal, {wrong} not", flush=True)
        passed, failed = passed + right, failed + wrong
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:]))
