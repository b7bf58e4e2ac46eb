import { KalamError } from '@kalamdb/protocol';
import { expect, it } from 'vitest';
import { readS3Settings, type S3Description } from './s3-settings.ts';

const SECRET = 'the-secret-itself';
const CREDENTIALS = JSON.stringify({ access_key_id: 'key', secret_access_key: SECRET });
const read = (description: Partial<S3Description>): ReturnType<typeof readS3Settings> =>
  readS3Settings({ location: 'bucket', credentials: CREDENTIALS, config: undefined, ...description });

it('reads where a bucket is and who speaks to it', () => {
  expect(read({ config: '{"region":"eu-central-1"}' })).toMatchObject({
    ...{ bucket: 'bucket', prefix: '', region: 'eu-central-1', pathStyle: false },
    ...{ accessKeyId: 'key', secretAccessKey: SECRET, sessionToken: undefined },
    endpoint: new URL('https://s3.eu-central-1.amazonaws.com'),
  });
  expect(read({ location: 's3://my.bucket/a//b/' })).toMatchObject({ bucket: 'my.bucket', prefix: 'a/b/', pathStyle: true });
  const config = '{"endpoint":"http://localhost:9000","forcePathStyle":"false","allow_http":true}';
  expect(read({ config })).toMatchObject({ endpoint: new URL('http://localhost:9000'), pathStyle: false });
  const credentials = JSON.stringify({ accessKeyId: 'key', secretAccessKey: SECRET, sessionToken: 'token' });
  expect(read({ credentials, config: '{"endpoint":"http://localhost:9000"}' })).toMatchObject({ sessionToken: 'token', pathStyle: true });
});

it('names what is wrong, and never shows a secret', () => {
  const wrong: readonly (readonly [Partial<S3Description>, string])[] = [
    [{ credentials: undefined }, 'requires CREDENTIALS with access_key_id and secret_access_key'],
    [{ credentials: '{"access_key_id":"key"}' }, 'requires CREDENTIALS'],
    [{ credentials: JSON.stringify({ secret: SECRET }) }, "CREDENTIALS: 'secret' is not known"],
    [
      { credentials: JSON.stringify({ access_key_id: 'key', secret_access_key: `${SECRET} with space` }) },
      'secret_access_key must be a text',
    ],
    [{ credentials: JSON.stringify({ access_key_id: 'key', secret_access_key: { deep: SECRET } }) }, 'secret_access_key must be a text'],
    [{ credentials: JSON.stringify([SECRET]) }, 'CREDENTIALS must be a JSON object'],
    [{ config: JSON.stringify({ secret_access_key: SECRET }) }, "CONFIG: 'secret_access_key' belongs into CREDENTIALS"],
    [{ config: '{"endpoint":"ftp://x"}' }, 'endpoint must be'],
    [{ config: '{"endpoint":"http://user:pass@x"}' }, 'endpoint must be'],
    [{ config: '{"endpoint":"http://x/path"}' }, 'endpoint must be'],
    [{ config: '{"region":"eu/../x"}' }, 'region'],
    [{ config: '{"path_style":1}' }, 'path_style must be true or false'],
    [{ location: 's3://' }, "'' is not the name of a bucket"],
    [{ location: 'a/../b' }, "'a' is not the name of a bucket"],
    [{ location: 'bucket/../b' }, 'the path inside the bucket'],
    [{ location: `bucket/${'p'.repeat(121)}` }, 'the path inside the bucket'],
  ];
  for (const [description, text] of wrong) {
    const error = (() => {
      try {
        return read(description);
      } catch (failure) {
        return failure;
      }
    })();
    expect(error).toBeInstanceOf(KalamError);
    expect(String(error)).toContain(text);
    expect(String(error)).not.toContain(SECRET);
  }
});
