/** Where and how the server is reached. */
export const SERVER_SETTINGS = {
  'server.host': {
    kind: 'text',
    default: '127.0.0.1',
    env: 'KALAMDB_SERVER_HOST',
    flag: '--host <address>',
    description: 'Address to listen on. Anything but a loopback address opens the server to the network.',
  },
  'server.port': {
    kind: 'integer',
    default: 8080,
    minimum: 0,
    maximum: 65535,
    env: 'KALAMDB_SERVER_PORT',
    flag: '--port <number>',
    description: 'Port to listen on; 0 takes any free one.',
  },
  'server.public_origin': {
    kind: 'text',
    default: '',
    env: 'KALAMDB_SERVER_PUBLIC_ORIGIN',
    description: 'Origin under which browsers reach the server, for example https://db.example.com; empty: the one of the request.',
  },
  'server.enable_http2': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_SERVER_ENABLE_HTTP2',
    description: 'Whether HTTP/2 is spoken beside HTTP/1.1 on the same port: in cleartext by prior knowledge, with TLS by negotiation.',
  },
  'server.tls_cert_file': {
    kind: 'text',
    default: '',
    env: 'KALAMDB_SERVER_TLS_CERT_FILE',
    description: 'PEM file with the certificate and its chain; with server.tls_key_file the server speaks https and wss only.',
  },
  'server.tls_key_file': {
    kind: 'text',
    default: '',
    env: 'KALAMDB_SERVER_TLS_KEY_FILE',
    description: 'PEM file with the private key of server.tls_cert_file.',
  },
  'server.compression': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_SERVER_COMPRESSION',
    description: 'Whether large answers are compressed for clients that accept it.',
  },
  'server.compression_min_bytes': {
    kind: 'integer',
    default: 16_384,
    minimum: 0,
    maximum: 1_073_741_824,
    env: 'KALAMDB_SERVER_COMPRESSION_MIN_BYTES',
    description: 'Smallest answer that is compressed, in bytes.',
  },
} as const;
