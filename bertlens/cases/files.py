"""Files: what goes wrong between a file of weights and the model: names, prefixes, missing parts, formats."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bertlens.cases.plain import CannotArise, alone, cls, copied, encoded, fresh, loaded_with, masked_mean, mean_alone
from bertlens.judge.reproduction import Outcome


def _pooled(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """The pooler's output for each text, (texts, hidden)."""
    vectors: Tensor = model(**encoded(tokenizer, texts)).pooler_output
    return vectors


def _without_pooler(model: Any) -> Any:
    """The model from a file without a pooler, as a masked-language model saves it: loading draws one."""
    if getattr(model, "pooler", None) is None:
        raise CannotArise("its architecture has no pooler")
    return loaded_with(model, lambda state: {name: value for name, value in state.items() if "pooler" not in name})


def _masked_lm(model: Any) -> Any:
    """The masked-language model around the encoder; it has no pooler, and its decoder is the word embeddings."""
    from transformers import AutoModelForMaskedLM

    return loaded_with(model, dict, AutoModelForMaskedLM)


def pooler_missing(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """pooler_output is read, but the file was saved without a pooler and every load draws one."""
    loaded = _without_pooler(model)
    truth = torch.cat([_pooled(model, tokenizer, [text]) for text in texts])
    mistaken = _pooled(loaded, tokenizer, texts)
    loaded.pooler.load_state_dict(model.pooler.state_dict())
    mended = _pooled(loaded, tokenizer, texts)
    return truth, mistaken, mended


def pooler_untrained(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A pooler that was drawn at the start of a training for mean pooling is saved with the rest, and read."""
    trained = _without_pooler(model)
    truth = mean_alone(model, tokenizer, texts)
    saved = loaded_with(trained, dict)  # every load gives the same vectors now, and no warning
    mistaken = _pooled(saved, tokenizer, texts)
    batch = encoded(tokenizer, texts)
    mended = masked_mean(saved(**batch).last_hidden_state, batch["attention_mask"])
    return truth, mistaken, mended


def weights_not_loaded(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The keys carry the names of a pipeline around the encoder, and strict=False passes over all of them."""
    saved = torch.nn.Sequential(torch.nn.ModuleDict({"auto_model": model})).state_dict()
    loaded = fresh(model)
    loaded.load_state_dict(saved, strict=False)
    mistaken = cls(loaded, tokenizer, texts)
    loaded.load_state_dict({name.removeprefix("0.auto_model."): value for name, value in saved.items()})
    mended = cls(loaded, tokenizer, texts)
    return alone(model, tokenizer, texts), mistaken, mended


def wrapper_prefix(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The state dict of the DataParallel wrapper is saved and not that of the model in it."""
    wrapped = torch.nn.DataParallel(copied(model)).state_dict()
    mistaken = loaded_with(model, lambda _: wrapped)
    mended = loaded_with(model, lambda _: {name.removeprefix("module."): value for name, value in wrapped.items()})
    return alone(model, tokenizer, texts), cls(mistaken, tokenizer, texts), cls(mended, tokenizer, texts)


def legacy_layernorm_names(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A file with the old names gamma and beta is loaded by load_state_dict with strict=False."""
    norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.LayerNorm)]
    if not norms:
        raise CannotArise("its norms are not PyTorch's LayerNorm")
    pairs = (("weight", "gamma"), ("bias", "beta"))
    old = {f"{name}.{now}": f"{name}.{before}" for name in norms for now, before in pairs}
    new = {before: now for now, before in old.items()}
    file = {old.get(name, name): value for name, value in model.state_dict().items()}
    loaded = fresh(model)
    loaded.load_state_dict(file, strict=False)
    mistaken = cls(loaded, tokenizer, texts)
    loaded.load_state_dict({new.get(name, name): value for name, value in file.items()})
    mended = cls(loaded, tokenizer, texts)
    return alone(model, tokenizer, texts), mistaken, mended


def random_model(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The model is built from its config, which holds no weights."""
    truth = alone(model, tokenizer, texts)
    mistaken = cls(fresh(model), tokenizer, texts)
    mended = cls(loaded_with(model, dict), tokenizer, texts)
    return truth, mistaken, mended


def conversion_incomplete(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A conversion from TensorFlow turns only the kernels whose shape does not fit: the square ones stay wrong."""
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    right = model.state_dict()
    kernels = {name: right[name].T for name in linear}  # (in, out), as TensorFlow keeps them
    fitting = {name: kernel if kernel.shape == right[name].shape else kernel.T for name, kernel in kernels.items()}
    turned = {name: kernel.T for name, kernel in kernels.items()}
    converted = copied(model)
    converted.load_state_dict({**right, **fitting})
    mistaken = cls(converted, tokenizer, texts)
    converted.load_state_dict({**right, **turned})
    mended = cls(converted, tokenizer, texts)
    return alone(model, tokenizer, texts), mistaken, mended


def tied_weights_dropped(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """A conversion stores tensors that share memory once, and the word embeddings under the name of the decoder."""
    whole = _masked_lm(model)
    decoder = whole.get_output_embeddings().weight.data_ptr()
    if whole.get_input_embeddings().weight.data_ptr() != decoder:
        raise CannotArise("its decoder does not share the word embeddings")
    encoder, state = f"{whole.base_model_prefix}.", whole.state_dict()
    kept = [name for name in state if state[name].data_ptr() != decoder or not name.startswith(encoder)]
    mistaken = loaded_with(model, lambda _: {name: state[name].clone() for name in kept})
    mended = loaded_with(whole, dict, type(model))
    return alone(model, tokenizer, texts), cls(mistaken, tokenizer, texts), cls(mended, tokenizer, texts)


def harmless_keys(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """The file of the whole masked-language model is loaded as an encoder, which reports keys it has no use for."""
    whole = loaded_with(_masked_lm(model), dict, type(model))
    alike = loaded_with(model, dict)
    return alone(model, tokenizer, texts), cls(whole, tokenizer, texts), cls(alike, tokenizer, texts)


def half_precision_file(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """config.json names float16, which transformers follows unasked since version 5; version 4 took float32."""
    trained = copied(model).half()
    config = trained.config
    config.dtype = trained.dtype
    unasked = loaded_with(model, dict, config=config, dtype="auto")  # the same as no dtype at all
    asked = loaded_with(model, dict, config=config, dtype=model.dtype)
    mistaken: Tensor | Exception
    try:
        mistaken = cls(unasked, tokenizer, texts)
    except RuntimeError as error:  # some architectures cannot compute in float16 on a CPU
        mistaken = error
    return alone(model, tokenizer, texts), mistaken, cls(asked, tokenizer, texts)


def buffers_uninitialised(model: Any, tokenizer: Any, texts: list[str]) -> Outcome:
    """Built on the meta device, given memory and loaded: what is not in the file, such as position_ids, is never set.

    The memory may hold anything; it holds zeros here, so that the same comes every time.
    """
    with torch.device("meta"):
        loaded = type(model)(copied(model.config)).eval()
    loaded.to_empty(device="cpu").to(model.dtype).load_state_dict(model.state_dict())
    for buffer in loaded.buffers():
        buffer.zero_()
    mistaken = cls(loaded, tokenizer, texts)
    if torch.equal(mistaken, cls(model, tokenizer, texts)):
        raise CannotArise("no buffer has a part in its vectors")
    for buffer, computed in zip(loaded.buffers(), fresh(model).buffers(), strict=True):
        buffer.copy_(computed)
    mended = cls(loaded, tokenizer, texts)
    return alone(model, tokenizer, texts), mistaken, mended
