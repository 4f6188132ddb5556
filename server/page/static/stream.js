// One streamed answer: text as it comes, and what it took. Times are milliseconds since it was asked.

import { post } from "./gateway.js";

export async function ask(request, signal, onText) {
  const asked = performance.now();
  const response = await post("/v1/chat/completions", {
    ...request, stream: true, stream_options: { include_usage: true },
  }, signal);
  const answer = { id: response.headers.get("x-request-id"), text: "", ttft: null, last: null, tokens: null };
  for await (const event of events(response.body)) {
    if (event === "[DONE]") return answer;
    const chunk = JSON.parse(event);
    if (chunk.error) throw new Error(chunk.error.message);
    const text = chunk.choices[0]?.delta?.content;
    if (text) {
      answer.last = performance.now() - asked;
      answer.ttft ??= answer.last;
      answer.text += text;
      onText(answer);
    }
    if (chunk.usage) answer.tokens = chunk.usage.completion_tokens;
  }
  throw new Error("the answer ended before it was complete");
}

// Tokens after the first, over the time after the first.
export function tokensPerSecond({ tokens, ttft, last }) {
  return tokens > 1 && last > ttft ? (1000 * (tokens - 1)) / (last - ttft) : NaN;
}

async function* events(body) {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}
