/**
 * Everything that can go wrong on this side of the wire, in words; `{name}` stands for a parameter. Node's entry words its errors
 * with these; in browsers, where every byte is loaded, an error says its code and its parameters, and the words are in the docs.
 */
export const ERROR_TEXTS = {
  CLIENT_CLOSED: 'The client has been shut down; create another one',
  CONNECTION_LOST: 'The connection to {url} ended and is not opened again ({reason}); call connect()',
  CONNECT_TIMEOUT: 'No connection to {url} within {millis} ms ({reason})',
  CREDENTIALS_FAILED: 'authProvider gave no credentials in {attempts} attempt(s): {reason}',
  CREDENTIALS_NEEDED: 'A live query needs credentials; authProvider returned none',
  CREDENTIALS_REFUSED: 'The server refused the credentials: {reason}',
  DISCONNECTED: 'disconnect() was called while waiting',
  FRAME_TOO_LARGE: 'More than {bytesMax} bytes of {what}',
  INVALID_ARGUMENT: '{name}: {reason}',
  KEY_MISSING: "A row of '{sql}' has no value for the key ({columns}); select it, or pass keyColumns or getKey",
  LOGIN_NEEDS_PASSWORD: 'login() needs an authProvider that returns Auth.basic(user, password)',
  NO_WEB_SOCKET: 'This runtime has no WebSocket; pass the webSocket option',
  REQUEST_FAILED: 'POST {url} failed: {reason}',
  REQUEST_TIMEOUT: 'POST {url} got no answer within {millis} ms',
  RESPONSE_INVALID: 'The server sent something that is not of the protocol: {reason}',
  SUBSCRIBE_TIMEOUT: "'{sql}' was not acknowledged within {millis} ms ({reason})",
  SUBSCRIPTIONS_FULL: 'A client holds at most {subscriptionsMax} subscriptions; end one first',
  SUBSCRIPTION_STALLED: 'The subscription could not be continued after {attempts} attempts: {reason}',
  UNSUBSCRIBED: "'{sql}' was unsubscribed",
} as const;
