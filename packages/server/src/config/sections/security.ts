/** Which proxies are believed, and which pages of browsers may call. */
export const SECURITY_SETTINGS = {
  'security.max_ws_message_size': {
    kind: 'integer',
    default: 1_048_576,
    minimum: 1024,
    maximum: 67_108_864,
    env: 'KALAMDB_SECURITY_MAX_WS_MESSAGE_SIZE',
    description: 'Largest WebSocket message of a client, in bytes.',
  },
  'security.strict_ws_origin_check': {
    kind: 'boolean',
    default: false,
    env: 'KALAMDB_SECURITY_STRICT_WS_ORIGIN_CHECK',
    description: 'Refuse WebSocket upgrades that send no Origin.',
  },
  'security.trusted_proxy_ranges': {
    kind: 'list',
    default: [],
    env: 'KALAMDB_SECURITY_TRUSTED_PROXY_RANGES',
    description: 'Addresses or CIDR ranges of reverse proxies whose X-Forwarded-For and X-Real-IP are believed.',
  },
  'security.cors.allowed_origins': {
    kind: 'list',
    default: [],
    env: 'KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS',
    description:
      'Origins whose pages may call the server, beside server.public_origin; empty or `*`: any. Only pages of named origins, of this machine, or of the host itself may use cookies.',
  },
  'security.cors.allowed_methods': {
    kind: 'list',
    default: ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'],
    env: 'KALAMDB_SECURITY_CORS_ALLOWED_METHODS',
    description: 'Methods that pages of other origins may use.',
  },
  'security.cors.allowed_headers': {
    kind: 'list',
    default: ['Authorization', 'Content-Type', 'Accept', 'Origin', 'X-Requested-With'],
    env: 'KALAMDB_SECURITY_CORS_ALLOWED_HEADERS',
    description: 'Request headers that pages of other origins may send.',
  },
  'security.cors.allow_credentials': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_SECURITY_CORS_ALLOW_CREDENTIALS',
    description: 'Whether browsers may send cookies across origins.',
  },
  'security.cors.max_age': {
    kind: 'integer',
    default: 3600,
    minimum: 0,
    maximum: 86_400,
    env: 'KALAMDB_SECURITY_CORS_MAX_AGE',
    description: 'Seconds a browser may remember the answer of a preflight.',
  },
  'security.cors.expose_headers': {
    kind: 'list',
    default: [],
    env: 'KALAMDB_SECURITY_CORS_EXPOSE_HEADERS',
    description: 'Response headers that pages of other origins may read.',
  },
  'security.cors.allow_private_network': {
    kind: 'boolean',
    default: false,
    env: 'KALAMDB_SECURITY_CORS_ALLOW_PRIVATE_NETWORK',
    description: 'Whether public pages may call a server in a private network (Access-Control-Allow-Private-Network).',
  },
} as const;
