"""`python tiny_gguf.py FILE`: a llama of some 20,000 random weights that a real server will serve.

It reads every byte as a token, and says nothing but a few words, a token each, until the answer
cap: one coordinate of its residual stream is never written by any layer, and on it the output
rewards the words and punishes all other tokens, the end of the answer among them.
"""

import sys
from pathlib import Path
from typing import Final

import gguf
import numpy

_CONTEXT_TOKENS: Final = 8192
_WIDTH: Final = 32
_HEADS: Final = 2
_LAYERS: Final = 2
_FEED_FORWARD: Final = 64
_STEADY: Final = 0
"""The coordinate that stays as the embedding wrote it."""
_STRENGTH: Final = 4.0
_WORDS: Final = (
    *("the", "sea", "is", "wide", "and", "blue", "a", "wave", "of", "salt", "under", "ship"),
    *("sails", "over", "deep", "water", "wind", "carries", "gulls", "home", "at", "night"),
)
_SPECIAL: Final = ("<unk>", "<s>", "</s>")
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "assistant:"
)


def write_tiny_model(path: Path, *, seed: int = 1) -> None:
    """Write the model; the same seed gives the same weights."""
    writer = gguf.GGUFWriter(path, "llama")
    tokens = _tokens()
    _describe(writer, tokens)
    _add_weights(writer, len(tokens), numpy.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tokens() -> list[tuple[str, gguf.TokenType]]:
    kinds = gguf.TokenType
    special = [(text, kinds.UNKNOWN if text == "<unk>" else kinds.CONTROL) for text in _SPECIAL]
    spelled = [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    return special + spelled + [(f"▁{word}", kinds.NORMAL) for word in _WORDS]


def _describe(writer: gguf.GGUFWriter, tokens: list[tuple[str, gguf.TokenType]]) -> None:
    writer.add_name("tiny")
    writer.add_context_length(_CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([-float(number) for number in range(len(tokens))])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_unk_token_id(_SPECIAL.index("<unk>"))
    writer.add_bos_token_id(_SPECIAL.index("<s>"))
    writer.add_eos_token_id(_SPECIAL.index("</s>"))
    writer.add_chat_template(_TEMPLATE)


def _add_weights(writer: gguf.GGUFWriter, tokens: int, random: numpy.random.Generator) -> None:
    def weights(rows: int, columns: int = _WIDTH) -> numpy.ndarray:
        return random.normal(0.0, 0.1, (rows, columns)).astype(numpy.float32)

    ones = numpy.ones(_WIDTH, dtype=numpy.float32)
    embedding, output = weights(tokens), weights(tokens)
    embedding[:, _STEADY] = _STRENGTH
    output[:, _STEADY] = -_STRENGTH
    output[-len(_WORDS) :, _STEADY] = _STRENGTH
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    for layer in range(_LAYERS):
        name = f"blk.{layer}."
        into_attention, into_stream = weights(_WIDTH), weights(_WIDTH, _FEED_FORWARD)
        into_attention[_STEADY] = into_stream[_STEADY] = 0.0
        for part in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"{name}{part}.weight", weights(_WIDTH))
        for part in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{name}{part}.weight", ones)
        for part in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{name}{part}.weight", weights(_FEED_FORWARD))
        writer.add_tensor(f"{name}attn_output.weight", into_attention)
        writer.add_tensor(f"{name}ffn_down.weight", into_stream)


if __name__ == "__main__":
    write_tiny_model(Path(sys.argv[1]))
