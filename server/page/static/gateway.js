// Requests to the gateway that served this page, with the key of the page's field.

const KEY = "bitloom-key";

export const key = () => sessionStorage.getItem(KEY) ?? "";

export function keepKey(value) {
  sessionStorage.setItem(KEY, value.trim());
}

export async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (key()) headers.authorization = `Bearer ${key()}`;
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) throw new Error(await reason(response));
  return response;
}

export const get = async (path, signal) => (await send(path, { signal })).json();

export async function post(path, document, signal) {
  const body = JSON.stringify(document);
  return send(path, { method: "POST", headers: { "content-type": "application/json" }, body, signal });
}

async function reason(response) {
  try {
    const message = (await response.json()).error.message;
    return response.status === 401 ? `${message}; put it into the field at the top` : message;
  } catch {
    return `the server answered ${response.status}`;
  }
}
