"""Trains the reference models, exports them to ONNX, and writes metrics.json and the golden files.

Run by `make` with the Python that has PyTorch, after data.py.
"""

import argparse
import copy
import json
import pathlib
import random
import time

import networks
import torch
from torch.nn import functional

MODELS = {
    "sentiment-lstm": dict(
        network=networks.LstmForSequenceClassification, model_type="lstm", opset=13,
        shape=dict(embedding_size=48, hidden_size=64), dropout=0.5,
        epochs=30, batch=32, rate=0.001, decay=0.0, word_dropout=0.15),
    "spam-textcnn": dict(
        network=networks.TextCnnForSequenceClassification, model_type="textcnn", opset=11,
        shape=dict(embedding_size=64, num_filters=64, filter_sizes=[3, 4, 5]), dropout=0.5,
        epochs=14, batch=32, rate=0.001, decay=0.0, word_dropout=0.2),
    "sentiment-transformer": dict(
        network=networks.BertForSequenceClassification, model_type="bert", opset=17,
        shape=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                   max_position_embeddings=128), dropout=0.3,
        epochs=8, batch=32, rate=0.0005, decay=0.01, word_dropout=0.15),
}
SEED = 1


# ---- batches -----------------------------------------------------------------------------------

def collate(rows, pad):
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    return ids, mask, torch.tensor([label for _, label in rows])


def shuffled_batches(rows, size, pad, chance):
    """Batches of similar lengths, in random order."""
    rows = sorted(rows, key=lambda row: (len(row[0]) + chance.uniform(-2, 2), chance.random()))
    starts = list(range(0, len(rows), size))
    chance.shuffle(starts)
    for start in starts:
        yield collate(rows[start:start + size], pad)


def drop_words(ids, mask, data, probability):
    """Replaces random tokens by [UNK], so that no decision hangs on a single word."""
    keep = torch.zeros_like(ids, dtype=torch.bool)
    for special in data["special_ids"]:
        keep |= ids == special
    drop = (torch.rand(ids.shape) < probability) & (mask == 1) & ~keep
    return ids.masked_fill(drop, data["unk_id"])


# ---- evaluation --------------------------------------------------------------------------------

def predict(model, rows, pad):
    model.eval()
    logits = [None] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    with torch.no_grad():
        for start in range(0, len(order), 64):
            chosen = order[start:start + 64]
            ids, mask, _ = collate([rows[i] for i in chosen], pad)
            for i, row in zip(chosen, model(ids, mask)):
                logits[i] = row
    return torch.stack(logits)


def scores(logits, rows):
    """Accuracy, F1 of each class and their mean."""
    truth = torch.tensor([label for _, label in rows])
    guess = logits.argmax(1)
    f1 = []
    for label in (0, 1):
        both = int(((guess == label) & (truth == label)).sum())
        f1.append(2 * both / max(1, int((guess == label).sum()) + int((truth == label).sum())))
    return {"accuracy": round(float((guess == truth).float().mean()), 4), "f1": [round(x, 4) for x in f1],
            "f1_macro": round(sum(f1) / 2, 4),
            "cross_entropy": round(float(functional.cross_entropy(logits, truth)), 4), "texts": len(rows)}


# ---- training ----------------------------------------------------------------------------------

def build(plan, data):
    return plan["network"](vocab_size=data["vocab_size"], pad_token_id=data["pad_id"], dropout=plan["dropout"],
                           num_labels=len(data["labels"]), **plan["shape"])


def train(name, plan, data):
    torch.manual_seed(SEED)
    chance = random.Random(SEED)
    model = build(plan, data)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan["rate"], weight_decay=plan["decay"])
    best, best_loss, epoch_of_best = None, float("inf"), 0
    for epoch in range(1, plan["epochs"] + 1):
        model.train()
        started, total, steps = time.monotonic(), 0.0, 0
        for ids, mask, labels in shuffled_batches(data["train"] + data["extra"], plan["batch"], data["pad_id"], chance):
            ids = drop_words(ids, mask, data, plan["word_dropout"])
            loss = functional.cross_entropy(model(ids, mask), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total, steps = total + float(loss), steps + 1
        seen = scores(predict(model, data["validation"], data["pad_id"]), data["validation"])
        if seen["cross_entropy"] < best_loss:
            best, best_loss, epoch_of_best = copy.deepcopy(model.state_dict()), seen["cross_entropy"], epoch
        print(f"{name} epoch {epoch}: loss {total / steps:.4f}, validation {seen['cross_entropy']:.4f} "
              f"accuracy {seen['accuracy']:.4f}, {time.monotonic() - started:.1f} s", flush=True)
    model.load_state_dict(best)
    model.eval()
    return model, epoch_of_best


# ---- output ------------------------------------------------------------------------------------

def export(model, plan, data, folder):
    ids, mask, _ = collate([(row, 0) for row in data["cases"][-1]["input_ids"]], data["pad_id"])
    mask = torch.tensor(data["cases"][-1]["attention_mask"])
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(model, (ids, mask), str(folder / "model.onnx"), opset_version=plan["opset"],
                      do_constant_folding=True, input_names=["input_ids", "attention_mask"],
                      output_names=["logits"],
                      dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}})
    config = {"architectures": [plan["network"].__name__], "model_type": plan["model_type"],
              "id2label": {str(i): label for i, label in enumerate(data["labels"])},
              "label2id": {label: i for i, label in enumerate(data["labels"])},
              "problem_type": "single_label_classification", "vocab_size": data["vocab_size"],
              "pad_token_id": data["pad_id"], "max_position_embeddings": data["max_length"],
              "torch_dtype": "float32", **plan["shape"]}
    if plan["model_type"] == "bert":
        config.update(hidden_act="gelu", layer_norm_eps=1e-12, position_embedding_type="absolute",
                      hidden_dropout_prob=plan["dropout"], attention_probs_dropout_prob=plan["dropout"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


class Exact(float):
    """A float32 that JSON writes with nine significant digits, enough to read the same one back."""

    def __repr__(self):
        return f"{float(self):.9g}"


def goldens(name, model, data, path):
    cases = []
    for case in data["cases"]:
        with torch.no_grad():
            logits = model(torch.tensor(case["input_ids"]), torch.tensor(case["attention_mask"]))
        rounded = lambda table: [[Exact(x) for x in row] for row in table.tolist()]
        cases.append({**case, "logits": rounded(logits),
                      "labels": [data["labels"][i] for i in logits.argmax(1).tolist()],
                      "scores": rounded(functional.softmax(logits, 1))})
    path.parent.mkdir(parents=True, exist_ok=True)
    write = lambda value: json.dumps(value, ensure_ascii=False)
    # One line per field keeps the file readable and its history small.
    with_fields = [",\n   ".join(f'"{key}": {write_exact(value, write)}' for key, value in case.items())
                   for case in cases]
    text = ",\n".join("  {" + case + "}" for case in with_fields)
    path.write_text(f'{{"model": "{name}", "cases": [\n{text}\n]}}\n', "utf-8")


def write_exact(value, write):
    if value and isinstance(value[0], list) and isinstance(value[0][0], Exact):
        return "[" + ", ".join("[" + ", ".join(map(repr, row)) + "]" for row in value) + "]"
    return write(value)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--work", type=pathlib.Path, required=True)
    arguments.add_argument("--deploy", type=pathlib.Path, required=True)
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments.add_argument("names", nargs="*", help="models to train, all by default")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    path = options.out / "metrics.json"
    metrics = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in options.names or MODELS:
        plan, data = MODELS[name], json.loads((options.work / f"{name}.json").read_text("utf-8"))
        started = time.monotonic()
        model, epoch = train(name, plan, data)
        rows = data["held_out"]
        metrics[name] = {"epoch": epoch, "parameters": sum(p.numel() for p in model.parameters()),
                         "train_texts": len(data["train"]), "lexicon_words": len(data["extra"]),
                         "labels": data["labels"],
                         "validation": scores(predict(model, data["validation"], data["pad_id"]), data["validation"]),
                         "held_out": scores(predict(model, rows, data["pad_id"]), rows)}
        print(f"{name}: {json.dumps(metrics[name])}, {time.monotonic() - started:.0f} s", flush=True)
        export(model, plan, data, options.deploy / name / "1")
        goldens(name, model, data, options.out / "goldens" / f"{name}.json")
        path.write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
