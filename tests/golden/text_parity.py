# SPDX-License-Identifier: Apache-2.0
"""Varied texts from a seed, and text processors of Phoenix applied to them (tests/golden/text_tool.c)."""

import pathlib
import random
import struct
import subprocess

import numpy as np
import yaml
from command import PHOENIX, built

TOOL = built(pathlib.Path(PHOENIX).parent / "tests" / "text_tool")
TYPES = {"INT64": np.int64, "FP64": np.float64, "FP32": np.float32}

WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you
were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other
time new some could these two may first then do any like my now over such our man me even most made after also did many off before must
well back through years where much your way down should because long each just state those people too mister little good world make very
year still see own work men day get here old life both between being under three never know same last another while us might great go come
since against right came take used himself few house American use place during high without again home around small however found Mrs
transaction payment merchant declined overdraft chargeback anomaly unauthorised don't we'll they've I'm it's he'd you're""".split()
LETTERS = ["àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœšžŁłŃńŐőİıĞğŞş", "αβγδεζηθικλμνξοπρστυφχψωΆΈΉΊΌΎΏΣς", "абвгдежзийклмнопрстуфхцчшщъыьэюяЁёЇїЄє",
           "אבגדהוזחטיכלמנסעפצקרשת", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "अआइईउऊएऐओऔकखगघचछजझटठडढतथदधनपफबभमयरलवशषसह्ािीुू",
           "กขคงจฉชซญฎฏฐณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮะาิีึืุู", "한국어텍스트처리각힣가", "漢字仮名交じり文テスト中文字符龍鿿豈更", "ḀḁḂḃẛẞﬁﬂǅǈⅧⅷ①②㊀½¾²³"]
MARKS = "\u0300\u0301\u0308\u0323\u0328\u0345\u05b0\u064b\u093c\u0f71\u302a\u302e\u302f\u08d3\u0fb7\U0001d165\U0001d16d\u20d0"
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\x1c", " \n ", "   ", "\v"]
ODD = ["\x00", "\x01", "\x7f", "\u200b", "\u200d", "\ufeff", "\ufffd", "\u00ad", "\u2060", "\ue000", "\U000e0001", "\uffff", "\u0378"]
SIGNS = list("!?.,;:'\"()[]{}<>@#$%^&*-_=+/\\|`~") + ["’", "“", "—", "…", "¿", "、", "。", "€", "§", "、", "٪", "'s", "'LL", "'ve", "''"]
EMOJI = ["😀", "👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇵🇱", "☃", "❤️", "𝔘𝔫𝔦", "𐐀𐐨", "𝟘𝟙"]


def word(rng):
    kind = rng.random()
    if kind < 0.5:
        text = rng.choice(WORDS)
        return text.upper() if kind < 0.05 else text.capitalize() if kind < 0.15 else text
    if kind < 0.56:
        return str(rng.randrange(10 ** rng.randrange(1, 12)))
    if kind < 0.8:
        letters = rng.choice(LETTERS)
        text = "".join(rng.choice(letters) + (rng.choice(MARKS) if rng.random() < 0.1 else "") for _ in range(rng.randrange(1, 9)))
        return text.upper() if rng.random() < 0.2 else text
    if kind < 0.86:
        return rng.choice(EMOJI)
    if kind < 0.9:
        return "".join(chr(rng.choice([rng.randrange(0x20, 0xD800), rng.randrange(0xE000, 0x20000)])) for _ in range(3))
    if kind < 0.94:
        return "".join(rng.choice(MARKS) for _ in range(rng.randrange(1, 5)))
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(1, 15)))


def text(rng, n_words):
    parts = []
    for _ in range(n_words):
        parts.append(word(rng))
        if rng.random() < 0.2:
            parts.append(rng.choice(SIGNS))
        if rng.random() < 0.04:
            parts.append(rng.choice(ODD))
        if rng.random() < 0.9:
            parts.append(" " if rng.random() < 0.8 else rng.choice(SPACES))
    return "".join(parts)


def texts(n, seed=1):
    """`n` texts, the first few of them extreme."""
    rng = random.Random(seed)
    extreme = ["", " ", "\t\n", "a", "'", "''s", "I'm", "x" * 99, "x" * 100, "x" * 101, "ab" * 3000, "é" * 120, "漢" * 300, " " * 500, "!" * 300,
               "ΑΣ", "ΑΣ.", "Σ", "ΑΣΑ ΑΣ'Α ΑΣ'", "İstanbul", "ǅ", "a\u0315\u0300\u05ae\u0301b", "\u0301" * 200 + "x", "한국어", "5½ x²", "a_b__c",
               "don't DON'T we'll  they've", "  lead", "trail  ", "\n\n x", "tab\there", "\u302e\u302f\u302e x\u08d3\u0fb7",
               "".join(chr(c) for c in range(1, 0x250)), "".join(map(chr, range(0x2000, 0x2100)))]
    return extreme + [text(rng, rng.randrange(1, 60)) for _ in range(n - len(extreme))]


def write_texts(path, rows):
    encoded = [row if isinstance(row, bytes) else row.encode() for row in rows]
    path.write_bytes(b"".join(struct.pack("<I", len(row)) + row for row in encoded))


def apply(kind, settings, rows, folder):
    """The outputs of a processor by name; its files lie in `folder`. A message instead, when it is refused."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    write_texts(folder / "texts", rows)
    done = subprocess.run([TOOL, kind, folder / "settings.yaml", folder / "texts", folder / "out"], capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    outputs = {}
    for line in done.stdout.splitlines():
        name, type_name, shape = line.split()
        outputs[name] = np.fromfile(folder / f"out.{name}", TYPES[type_name]).reshape(yaml.safe_load(shape))
    return outputs
