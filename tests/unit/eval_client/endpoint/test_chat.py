"""Requests: what goes over the wire, and a hash that does not hold the image itself."""

import json
from dataclasses import replace

from eval_client.endpoint.chat import ChatRequest
from eval_client.images import EncodedImage

REQUEST = ChatRequest("m", EncodedImage(b"picture", "image/png"), "describe", 8, stop=("\n",))


def test_the_image_comes_before_the_text() -> None:
    document = json.loads(REQUEST.body(is_stream=True))
    image, text = document["messages"][0]["content"]
    assert image["image_url"]["url"] == "data:image/png;base64,cGljdHVyZQ=="
    assert text["text"] == "describe"
    assert document["temperature"] == 0
    assert document["stream_options"] == {"include_usage": True}


def test_the_hash_is_of_everything_but_streaming() -> None:
    other_image = replace(REQUEST, image=EncodedImage(b"other", "image/png"))
    changed = [other_image, replace(REQUEST, prompt="x"), replace(REQUEST, max_tokens=9)]
    changed += [replace(REQUEST, options={"logprobs": True}), replace(REQUEST, assistant="a dog")]
    assert len({REQUEST.hash, *(each.hash for each in changed)}) == 6


def test_a_given_answer_is_continued() -> None:
    document = json.loads(replace(REQUEST, assistant="a dog").body(is_stream=False))
    assert document["messages"][1] == {"role": "assistant", "content": "a dog"}
    assert document["continue_final_message"] is True
    assert document["add_generation_prompt"] is False
    assert "stream" not in document
