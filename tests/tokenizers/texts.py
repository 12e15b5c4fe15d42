"""The texts that are compared: translations of Django in all its languages, sentencepiece's novel, and generated ones."""
import random
import re
import zipfile

# Letters, marks and digits of scripts: first and last code point of a part of each.
SCRIPTS = {
    "latin": (0x41, 0x24F), "ipa": (0x250, 0x2AF), "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x52F),
    "armenian": (0x531, 0x58A), "hebrew": (0x591, 0x5F4), "arabic": (0x600, 0x6FF), "syriac": (0x700, 0x74F),
    "thaana": (0x780, 0x7B1), "nko": (0x7C0, 0x7FA), "devanagari": (0x900, 0x97F), "bengali": (0x980, 0x9FB),
    "gurmukhi": (0xA01, 0xA75), "gujarati": (0xA81, 0xAF1), "oriya": (0xB01, 0xB77), "tamil": (0xB82, 0xBFA),
    "telugu": (0xC00, 0xC7F), "kannada": (0xC80, 0xCF2), "malayalam": (0xD00, 0xD7F), "sinhala": (0xD82, 0xDF4),
    "thai": (0xE01, 0xE5B), "lao": (0xE81, 0xEDF), "tibetan": (0xF00, 0xFDA), "myanmar": (0x1000, 0x109F),
    "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "ethiopic": (0x1200, 0x139F), "cherokee": (0x13A0, 0x13FD),
    "khmer": (0x1780, 0x17F9), "mongolian": (0x1800, 0x18AA), "vietnamese": (0x1EA0, 0x1EF9),
    "hiragana": (0x3041, 0x309F), "katakana": (0x30A0, 0x30FF), "bopomofo": (0x3105, 0x312F), "han": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3), "fullwidth": (0xFF01, 0xFFEE), "gothic": (0x10330, 0x1034A),
    "mathematical": (0x1D400, 0x1D7FF), "marks": (0x300, 0x36F), "compatibility": (0xF900, 0xFB4F),
    "punctuation": (0x2000, 0x206F), "symbols": (0x20A0, 0x2BFF), "controls": (1, 0x1F), "controls1": (0x7F, 0xA0),
}
EMOJI = ["\U0001F600", "\U0001F44D\U0001F3FD", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "\U0001F1E9\U0001F1EA",
         "\u2764\uFE0F", "5\uFE0F\u20E3", "\U0001F3F4\U000E0067\U000E0062\U000E007F", "\u263A", "\U0001FAE0"]
CODE = ["for (int i = 0; i < n; ++i) {\n\tsum += a[i] * 0x1F;\r\n}", "def f(x):\n    return {'a': x**2, \"b\": [1, 2.5e-3]}\n",
        "SELECT * FROM t WHERE id='x' AND n>=10;--", "<a href=\"https://x.org/?q=1&r=%20\">it's</a>", "\\u00e9\\n\\\\", "x+=1;;;  //",
        "git commit -m 'I'll don't we've THEY'RE she'd'", "0123456789 1e100 3.14159 1,234,567"]
SPECIAL = ["", " ", "  ", "\n", "\r\n\r\n", "\t", "\u3000", "\u00a0 ", "[CLS]", "[UNK] [MASK]", "<s>", "</s><unk>", "<|endoftext|>",
           "<|begin_of_text|>x", "a" * 300, " " * 300, "\u0301" * 40, "e\u0301" * 40, "\ufeffx", "\ufffd", "\u2581", "\u2581a \u2581",
           "<0x41>", "\x00a\x00", "##a", "don't", "DON'T", "\u2019s it\u2019s", "\U0010FFFF", "\ue000", "\u0345\u0344", "ﬁ ﬃ ǅ ß İ"]


def letters(name):
    first, last = SCRIPTS[name]
    return [chr(code) for code in range(first, last + 1) if not 0xD800 <= code <= 0xDFFF]


def word(random_, alphabet):
    return "".join(random_.choice(alphabet) for _ in range(random_.randint(1, 9)))


def generated(count, seed):
    random_ = random.Random(seed)
    names = list(SCRIPTS)
    alphabets = {name: letters(name) for name in names}
    separators = [" "] * 8 + ["  ", "\n", ", ", ". ", "-", "\u3000", "", "'", "\t", " \n"]
    for index in range(count):
        main = alphabets[names[index % len(names)]]
        parts = []
        for _ in range(random_.randint(1, 12)):
            kind = random_.random()
            if kind < 0.7:
                parts.append(word(random_, main))
            elif kind < 0.8:
                parts.append(word(random_, alphabets[random_.choice(names)]))
            elif kind < 0.85:
                parts.append(random_.choice(EMOJI))
            elif kind < 0.9:
                parts.append(random_.choice(CODE))
            elif kind < 0.93:
                parts.append(random_.choice(SPECIAL))
            else:
                parts.append(str(random_.randint(0, 10 ** random_.randint(1, 12))))
            parts.append(random_.choice(separators))
        yield "".join(parts)


def translations(wheel):
    """Strings of .po files, one by one."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if re.match(r"django/conf/locale/.*\.po$", name):
                text = archive.read(name).decode()
                for entry in re.findall(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', text, re.M):
                    yield "".join(re.findall(r'"(.*)"', entry)).replace("\\n", "\n").replace('\\"', '"')


def all_texts(django, novel):
    texts = SPECIAL + EMOJI + CODE + list(generated(9000, 7))
    texts += [text for text in translations(django) if text]
    texts += [line for line in novel.split("\n")[:2000]]
    return texts
