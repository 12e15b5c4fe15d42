"""Builds a WordPiece vocabulary by merging the most frequent pair of pieces, always in the same order.

The trainer of `tokenizers` breaks ties by the order of a hash table, which differs from run to run.
"""

import collections
import heapq


def vocabulary(words, size, special, alphabet):
    """words: {word: count}. Returns {piece: id}: the special tokens, the alphabet, the merges."""
    characters = collections.Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    kept = {c for c, _ in sorted(characters.items(), key=lambda item: (-item[1], item[0]))[:alphabet]}
    pieces = {token: i for i, token in enumerate(special)}
    for prefix in ("", "##"):
        for character in sorted(kept):
            pieces.setdefault(prefix + character, len(pieces))

    counts, spelled = [], []
    for word in sorted(words):
        if set(word) <= kept:
            counts.append(words[word])
            spelled.append([word[0]] + ["##" + c for c in word[1:]])
    pairs, places = collections.Counter(), collections.defaultdict(set)
    for i, symbols in enumerate(spelled):
        for pair in zip(symbols, symbols[1:]):
            pairs[pair] += counts[i]
            places[pair].add(i)

    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    while heap and len(pieces) < size:
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair] or count == 0:      # an old entry
            continue
        merged = pair[0] + pair[1][2:]
        pieces.setdefault(merged, len(pieces))
        changed = set()
        for i in sorted(places.pop(pair)):
            for old in zip(spelled[i], spelled[i][1:]):
                pairs[old] -= counts[i]
                places[old].discard(i)
                changed.add(old)
            spelled[i] = merge(spelled[i], pair, merged)
            for new in zip(spelled[i], spelled[i][1:]):
                pairs[new] += counts[i]
                places[new].add(i)
                changed.add(new)
        for other in changed:
            if pairs[other] > 0:
                heapq.heappush(heap, (-pairs[other], other))
    return pieces


def merge(symbols, pair, merged):
    result, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            result.append(merged)
            i += 2
        else:
            result.append(symbols[i])
            i += 1
    return result
