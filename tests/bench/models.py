"""Makes the models of tests/bench/run: the shapes of text encoders and classifiers, with random weights.

Usage: models.py OUT_DIR NAME...     (Debian's python3-torch); writes OUT_DIR/NAME.onnx
NAME-classifier is an encoder with a head on its first token, besides a model directory OUT_DIR/NAME-classifier/ for
modeld: a tokenizer whose word "wN" is token N, and two labels.
"""
import json
import math
import os
import pathlib
import sys

import torch
from torch import nn

ENCODERS = {"minilm-l6": (6, 384, 12, 1536), "bert-base": (12, 768, 12, 3072)}


class Layer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out, self.norm1 = nn.Linear(width, width), nn.LayerNorm(width, 1e-12)
        self.up, self.down, self.norm2 = nn.Linear(width, inner), nn.Linear(inner, width), nn.LayerNorm(width, 1e-12)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.size).transpose(1, 2)

    def forward(self, x, mask):
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.size) + mask, -1)
        mixed = (weights @ v).transpose(1, 2).reshape(x.size(0), x.size(1), -1)
        x = self.norm1(self.out(mixed) + x)
        return self.norm2(self.down(nn.functional.gelu(self.up(x))) + x)


class Encoder(nn.Module):
    def __init__(self, layers, width, heads, inner, vocabulary=30522):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(512, width)
        self.types, self.norm = nn.Embedding(2, width), nn.LayerNorm(width, 1e-12)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))

    def forward(self, input_ids, attention_mask, token_type_ids):
        places = torch.arange(input_ids.size(1)).unsqueeze(0)
        x = self.norm(self.words(input_ids) + self.places(places) + self.types(token_type_ids))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, mask)
        return x


class Classifier(nn.Module):
    def __init__(self, layers, width, heads, inner):
        super().__init__()
        self.encoder, self.classifier = Encoder(layers, width, heads, inner), nn.Linear(width, 2)

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.classifier(self.encoder(input_ids, attention_mask, token_type_ids)[:, 0])


class Lstm(nn.Module):
    """Two classes from the last hidden state."""

    def __init__(self, vocabulary=20000, width=128, hidden=256):
        super().__init__()
        self.words, self.lstm = nn.Embedding(vocabulary, width), nn.LSTM(width, hidden, batch_first=True)
        self.classes = nn.Linear(hidden, 2)

    def forward(self, input_ids):
        _, (last, _) = self.lstm(self.words(input_ids))
        return self.classes(last[-1])


class TextCnn(nn.Module):
    """Filters over 3, 4 and 5 words, their largest values over time, two classes."""

    def __init__(self, vocabulary=20000, width=128, filters=100):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.filters = nn.ModuleList(nn.Conv1d(width, filters, size) for size in (3, 4, 5))
        self.classes = nn.Linear(3 * filters, 2)

    def forward(self, input_ids):
        x = self.words(input_ids).transpose(1, 2)
        return self.classes(torch.cat([torch.relu(f(x)).max(2).values for f in self.filters], 1))


CLASSIFIERS = {"lstm": Lstm, "textcnn": TextCnn}


def export_classifier(name, path):
    axes = {"input_ids": {0: "batch", 1: "sequence"}, "logits": {0: "batch"}}
    torch.onnx.export(CLASSIFIERS[name]().eval(), torch.ones(2, 64, dtype=torch.long), str(path), opset_version=17,
                      input_names=["input_ids"], output_names=["logits"], dynamic_axes=axes)


def export_encoder(network, output, axes, path):
    ids = torch.ones(2, 8, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {output: axes, **{name: {0: "batch", 1: "sequence"} for name in names}}
    torch.onnx.export(network.eval(), (ids, ids, ids * 0), str(path), opset_version=17, input_names=names,
                      output_names=[output], dynamic_axes=axes)


def make_directory(folder, name):
    """What exporters put beside a text classifier."""
    directory = folder / name
    directory.mkdir(exist_ok=True)
    model = directory / "model.onnx"
    model.unlink(missing_ok=True)
    os.link(folder / f"{name}.onnx", model)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{f"w{i}": i for i in range(2, 30522)}}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                 "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
                 "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}}
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "negative", "1": "positive"},
              "vocab_size": 30522, "pad_token_id": 0, "max_position_embeddings": 512}
    (directory / "config.json").write_text(json.dumps(config))


def make(folder, name):
    torch.manual_seed(1)
    partial = folder / f"{name}.part"
    base = name.removesuffix("-classifier")
    if name in CLASSIFIERS:
        export_classifier(name, partial)
    elif base != name:
        export_encoder(Classifier(*ENCODERS[base]), "logits", {0: "batch"}, partial)
    else:
        export_encoder(Encoder(*ENCODERS[base]), "last_hidden_state", {0: "batch", 1: "sequence"}, partial)
    partial.rename(folder / f"{name}.onnx")
    if base != name:
        make_directory(folder, name)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        make(out, name)


main()
