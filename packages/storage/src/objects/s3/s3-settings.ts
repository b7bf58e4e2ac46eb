import { kalamError } from '@kalamdb/protocol';

/** Where a bucket is and who speaks to it. */
export interface S3Settings {
  /** `https://host[:port]`, without a path. */
  readonly endpoint: URL;
  readonly bucket: string;
  /** Empty, or ending with `/`: what every object's name begins with. */
  readonly prefix: string;
  readonly region: string;
  /** Whether the bucket is the first part of the path instead of the host's name. */
  readonly pathStyle: boolean;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** What a storage of type s3 was created with. */
export interface S3Description {
  /** `bucket`, `bucket/prefix` or `s3://bucket/prefix`. */
  readonly location: string;
  /** JSON object text. */
  readonly credentials: string | undefined;
  /** JSON object text. */
  readonly config: string | undefined;
}

const DEFAULT_REGION = 'us-east-1';
/** Bytes of a prefix: with the longest key it makes S3's longest. */
const PREFIX_BYTES_MAX = 120;
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i;
const PREFIX = /^[\w!*'()+@=,:;-][\w!.*'()+@=,:;-]*$/;

/** Members of CREDENTIALS and CONFIG, with the names that other tools give them. */
const MEMBERS = {
  accessKeyId: ['access_key_id', 'accesskeyid', 'access_key', 'aws_access_key_id'],
  secretAccessKey: ['secret_access_key', 'secretaccesskey', 'secret_key', 'aws_secret_access_key'],
  sessionToken: ['session_token', 'sessiontoken', 'token', 'aws_session_token'],
  endpoint: ['endpoint', 'endpoint_url'],
  region: ['region', 'aws_region'],
  pathStyle: ['path_style', 'pathstyle', 'force_path_style', 'forcepathstyle'],
  allowHttp: ['allow_http', 'allowhttp'],
} as const;

type Member = keyof typeof MEMBERS;

/** CONFIG is shown to everybody. */
const SECRET_MEMBERS: readonly Member[] = ['accessKeyId', 'secretAccessKey', 'sessionToken'];

type Found = Partial<Record<Member, unknown>>;

/**
 * Reads what a storage of type s3 was created with. CREDENTIALS holds `access_key_id`, `secret_access_key` and, if need be, `session_token`; CONFIG
 * holds `endpoint` (AWS unless given), `region` and `path_style` (true with an endpoint unless given). INVALID_OPERATION names what
 * is missing, unknown or wrong, never a value of CREDENTIALS.
 */
export function readS3Settings({ location, credentials, config }: S3Description): S3Settings {
  const given = { ...membersOf('CREDENTIALS', credentials), ...membersOf('CONFIG', config) };
  const [, bucket = '', prefix = ''] = /^(?:s3:\/\/)?([^/]*)\/?(.*)$/.exec(location) ?? [];
  if (!BUCKET.test(bucket)) throw refuse(`'${bucket}' is not the name of a bucket`);
  const region = textOf(given, 'region') ?? DEFAULT_REGION;
  if (!/^[\w-]{1,64}$/.test(region)) throw refuse('CONFIG: region holds other characters than letters, digits and hyphens');
  const endpoint = textOf(given, 'endpoint');
  const accessKeyId = textOf(given, 'accessKeyId');
  const secretAccessKey = textOf(given, 'secretAccessKey');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw refuse('S3 storage requires CREDENTIALS with access_key_id and secret_access_key');
  }
  return {
    endpoint: endpointOf(endpoint ?? `https://s3.${region}.amazonaws.com`),
    bucket,
    prefix: prefixOf(prefix),
    region,
    pathStyle: flagOf(given, 'pathStyle') ?? (endpoint !== undefined || bucket.includes('.')),
    accessKeyId,
    secretAccessKey,
    sessionToken: textOf(given, 'sessionToken'),
  };
}

function refuse(reason: string): Error {
  return kalamError('INVALID_OPERATION', { reason });
}

function membersOf(what: 'CREDENTIALS' | 'CONFIG', json: string | undefined): Found {
  const value: unknown = json === undefined ? {} : JSON.parse(json);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(`${what} must be a JSON object`);
  const found: Found = {};
  for (const [name, member] of Object.entries(value)) {
    const known = memberNamed(name);
    if (known === undefined) throw refuse(`${what}: '${name}' is not known for S3 storage`);
    if (what === 'CONFIG' && SECRET_MEMBERS.includes(known)) throw refuse(`CONFIG: '${name}' belongs into CREDENTIALS`);
    found[known] = member;
  }
  return found;
}

function memberNamed(name: string): Member | undefined {
  const members = Object.keys(MEMBERS) as Member[];
  return members.find((member) => MEMBERS[member].some((alias) => alias === name.toLowerCase()));
}

function textOf(given: Found, member: Member): string | undefined {
  const value = given[member];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || !/^[!-~]+$/.test(value)) throw refuse(`${MEMBERS[member][0]} must be a text of visible characters`);
  return value;
}

function flagOf(given: Found, member: Member): boolean | undefined {
  const value = given[member];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw refuse(`${MEMBERS[member][0]} must be true or false`);
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '';
  if (!isPlain || url.search !== '' || url.hash !== '' || url.pathname !== '/') {
    throw refuse('CONFIG: endpoint must be http(s)://host[:port] and nothing else');
  }
  return url;
}

function prefixOf(text: string): string {
  const parts = text.split('/').filter((part) => part !== '');
  if (parts.some((part) => !PREFIX.test(part)) || text.length > PREFIX_BYTES_MAX) {
    throw refuse('the path inside the bucket holds characters that it may not hold, or is too long');
  }
  return parts.map((part) => `${part}/`).join('');
}
