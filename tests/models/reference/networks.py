"""The three networks. Each maps input_ids and attention_mask, both [batch, sequence], to logits.

The logits of a text do not depend on the padding that its batch adds on the right.
"""

import torch
from torch import nn
from torch.nn import functional


class LstmForSequenceClassification(nn.Module):
    """Embedding, LSTM, Linear; the hidden state at the last token is classified."""

    def __init__(self, vocab_size, pad_token_id, embedding_size, hidden_size, dropout, num_labels):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=pad_token_id)
        self.lstm = nn.LSTM(embedding_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, num_labels)

    def forward(self, input_ids, attention_mask):
        hidden, _ = self.lstm(self.dropout(self.embedding(input_ids)))
        last = (attention_mask.sum(1) - 1).clamp(min=0)
        last = last.view(-1, 1, 1).repeat(1, 1, self.lstm.hidden_size)
        return self.classifier(self.dropout(hidden.gather(1, last)[:, 0]))


class TextCnnForSequenceClassification(nn.Module):
    """Convolutions of several widths, each reduced to its largest value over the text."""

    def __init__(self, vocab_size, pad_token_id, embedding_size, num_filters, filter_sizes, dropout, num_labels):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=pad_token_id)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_size, num_filters, width, padding=width - 1) for width in filter_sizes)
        nn.init.normal_(self.embedding.weight, std=0.2)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_filters * len(filter_sizes), num_labels)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.to(torch.float32).unsqueeze(1)
        embedded = self.dropout(self.embedding(input_ids).transpose(1, 2) * mask)
        pooled = []
        for convolution in self.convolutions:
            # width - 1 zeros on both sides: every window that touches a token counts, even for a
            # text of one token. Windows over padding alone become 0, which ReLU never goes below.
            windows = functional.pad(mask, (convolution.padding[0], 0), value=1.0)
            values = functional.relu(convolution(embedded)) * windows
            pooled.append(functional.adaptive_max_pool1d(values, 1).squeeze(2))
        return self.classifier(self.dropout(torch.cat(pooled, 1)))


class BertLayer(nn.Module):
    def __init__(self, hidden_size, num_attention_heads, intermediate_size, dropout):
        super().__init__()
        self.heads, self.head_size = num_attention_heads, hidden_size // num_attention_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=1e-12)
        self.intermediate = nn.Linear(hidden_size, intermediate_size)
        self.projection = nn.Linear(intermediate_size, hidden_size)
        self.output_norm = nn.LayerNorm(hidden_size, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.head_size).permute(0, 2, 1, 3)

    def forward(self, x, bias):
        scores = self.split(self.query(x)) @ self.split(self.key(x)).transpose(-1, -2)
        weights = self.dropout(functional.softmax(scores / self.head_size ** 0.5 + bias, dim=-1))
        context = (weights @ self.split(self.value(x))).permute(0, 2, 1, 3)
        context = context.reshape(x.size(0), x.size(1), self.heads * self.head_size)
        x = self.attention_norm(x + self.dropout(self.output(context)))
        return self.output_norm(x + self.dropout(self.projection(functional.gelu(self.intermediate(x)))))


class BertForSequenceClassification(nn.Module):
    """A small BERT: learned positions, post-norm layers, pooled [CLS]."""

    def __init__(self, vocab_size, pad_token_id, hidden_size, num_hidden_layers, num_attention_heads,
                 intermediate_size, max_position_embeddings, dropout, num_labels):
        super().__init__()
        self.words = nn.Embedding(vocab_size, hidden_size, padding_idx=pad_token_id)
        self.positions = nn.Embedding(max_position_embeddings, hidden_size)
        self.register_buffer("position_ids", torch.arange(max_position_embeddings).unsqueeze(0))
        self.norm = nn.LayerNorm(hidden_size, eps=1e-12)
        self.layers = nn.ModuleList(
            BertLayer(hidden_size, num_attention_heads, intermediate_size, dropout)
            for _ in range(num_hidden_layers))
        self.pooler = nn.Linear(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, num_labels)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.05)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def encode(self, input_ids, attention_mask):
        bias = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * torch.finfo(torch.float32).min
        x = self.words(input_ids) + self.positions(self.position_ids[:, :input_ids.size(1)])
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, bias)
        return x

    def forward(self, input_ids, attention_mask):
        first = self.encode(input_ids, attention_mask)[:, 0]
        return self.classifier(self.dropout(torch.tanh(self.pooler(first))))
