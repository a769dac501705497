"""Writes a llama model with random weights as a GGUF file, for tests and benchmarks of the embedded model.

The tiny one (about 1 MB, two layers of width 128) has a token for each byte and each printable character, some longer ones,
and a chat template, so that all that a real file makes a program do is done here too. The same arguments write the same
bytes. Needs the packages `gguf` and `numpy`.

usage: gguf.py OUT [--template FILE | --no-template] [--layers N] [--width N] [--words N] [--context N] [--q8] [--seed N]
       gguf.py OUT --large      about 128 million parameters in Q8_0 for benchmarks
"""

import argparse
import pathlib
import sys

# This file has the package's name; without this line it would import itself.
sys.path.pop(0)
import gguf
import numpy as np

# As many chat models write it; llama.cpp knows it by its `<|im_start|>`.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Longer tokens, each with the shorter ones it is merged from: a tokenizer of this kind merges two neighbours at a time.
MERGED = ['":', '",', '{"', '["', '"}', '"]', '":"', '","', "th", "the", "▁t", "▁the", "in", "ing", "er", "▁a", "an", "▁an"]
HEAD = 64


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=pathlib.Path)
    template = parser.add_mutually_exclusive_group()
    template.add_argument("--template", type=pathlib.Path, help="a file with the chat template to carry instead of ChatML")
    template.add_argument("--no-template", action="store_true")
    parser.add_argument("--architecture", default="llama", help="the name the file says; another one is refused by llama.cpp")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128, help=f"a multiple of {HEAD}")
    parser.add_argument("--words", type=int, default=0, help="made-up words in the vocabulary")
    parser.add_argument("--context", type=int, default=32768)
    parser.add_argument("--q8", action="store_true", help="matrices in Q8_0, not F32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--large", action="store_true")
    chosen = parser.parse_args()
    if chosen.large:
        chosen.layers, chosen.width, chosen.words, chosen.q8 = 12, 768, 31_600, True
    if chosen.width % HEAD or chosen.width <= 0:
        parser.error(f"--width must be a multiple of {HEAD}")
    return chosen


def vocabulary(words):
    kind = gguf.TokenType
    tokens = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    tokens += [("<|im_start|>", kind.CONTROL), ("<|im_end|>", kind.CONTROL)]
    tokens += [(f"<0x{byte:02X}>", kind.BYTE) for byte in range(256)]
    tokens += [(chr(code), kind.NORMAL) for code in range(0x21, 0x7F)] + [("▁", kind.NORMAL)]
    tokens += [(text, kind.NORMAL) for text in MERGED]
    tokens += [(f"▁w{number}", kind.NORMAL) for number in range(words)]
    return tokens


def write(chosen):
    writer = gguf.GGUFWriter(chosen.out, chosen.architecture)
    tokens = vocabulary(chosen.words)
    heads = chosen.width // HEAD
    heads_kv = max(1, heads // 2)
    hidden = chosen.width * 8 // 3 // 32 * 32
    writer.add_name("random")
    writer.add_context_length(chosen.context)
    writer.add_embedding_length(chosen.width)
    writer.add_block_count(chosen.layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    # Longer tokens are preferred, as a trained vocabulary does.
    writer.add_token_scores([float(len(text)) if kind == gguf.TokenType.NORMAL else 0.0 for text, kind in tokens])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(4)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    if not chosen.no_template:
        writer.add_chat_template(chosen.template.read_text() if chosen.template else CHATML)

    random = np.random.default_rng(chosen.seed)

    def matrix(name, rows, columns, spread=1.0):
        weights = random.standard_normal((rows, columns), dtype=np.float32) * np.float32(spread / columns**0.5)
        if chosen.q8:
            packed = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, weights)

    def ones(name):
        writer.add_tensor(name, np.ones(chosen.width, dtype=np.float32))

    width, width_kv = chosen.width, heads_kv * HEAD
    matrix("token_embd.weight", len(tokens), width, spread=width**0.5)
    for layer in range(chosen.layers):
        at = f"blk.{layer}"
        ones(f"{at}.attn_norm.weight")
        matrix(f"{at}.attn_q.weight", width, width)
        matrix(f"{at}.attn_k.weight", width_kv, width)
        matrix(f"{at}.attn_v.weight", width_kv, width)
        matrix(f"{at}.attn_output.weight", width, width)
        ones(f"{at}.ffn_norm.weight")
        matrix(f"{at}.ffn_gate.weight", hidden, width)
        matrix(f"{at}.ffn_up.weight", hidden, width)
        matrix(f"{at}.ffn_down.weight", width, hidden)
    ones("output_norm.weight")
    # Logits spread like those of a trained model, so that the likeliest token is so by more than rounding.
    matrix("output.weight", len(tokens), width, spread=2.0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


write(arguments())
