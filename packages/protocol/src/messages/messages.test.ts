import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../json/parse-json.ts';
import {
  clientMessageSchema,
  clusterHealthResponseSchema,
  healthResponseSchema,
  loginRequestSchema,
  loginResponseSchema,
  type MessageSchema,
  serverMessageSchema,
  setupRequestSchema,
  sqlRequestSchema,
  sqlResponseSchema,
} from './index.ts';
import { messageSchema } from './message-schema.ts';

function accepts<T>(schema: MessageSchema<T>, json: string): boolean {
  return Compile(schema).Check(parseJson(json));
}

describe('client frames', () => {
  test.each([
    '{"type":"authenticate","method":"jwt","token":"eyJ","protocol":{"serialization":"json","compression":"gzip"}}',
    '{"type":"authenticate","method":"jwt","token":"eyJ","protocol":{"serialization":"msgpack","compression":"none","extensions":["window"]}}',
    '{"type":"subscribe","subscription":{"id":"orders","sql":"SELECT * FROM app.orders","options":{"batch_size":200}}}',
    '{"type":"subscribe","subscription":{"id":"orders","sql":"SELECT * FROM app.orders","options":null}}',
    '{"type":"subscribe","subscription":{"id":"","sql":""}}',
    '{"type":"subscribe","subscription":{"id":"o","sql":"","options":{"from":316847529014263808,"last_rows":5}}}',
    '{"type":"subscribe","subscription":{"id":"o","sql":"","options":{"from_seq_id":7,"unknown":true}}}',
    '{"type":"next_batch","subscription_id":"orders","last_seq_id":316847529014263808}',
    '{"type":"next_batch","subscription_id":"orders"}',
    '{"type":"unsubscribe","subscription_id":"orders"}',
    '{"type":"ping"}',
  ])('%s', (json) => {
    expect(accepts(clientMessageSchema, json)).toBe(true);
  });

  test.each([
    '{"type":"pong"}',
    '{}',
    '[]',
    'null',
    '{"type":"authenticate","method":"jwt","token":"eyJ"}',
    '{"type":"authenticate","method":"jwt","token":"eyJ","protocol":{"serialization":"xml","compression":"none"}}',
    '{"type":"subscribe","subscription":{"id":5,"sql":""}}',
    '{"type":"subscribe","subscription":{"id":"o","sql":"","options":{"batch_size":-1}}}',
    '{"type":"subscribe","subscription":{"id":"o","sql":"","options":{"batch_size":1.5}}}',
    '{"type":"subscribe","subscription":{"id":"o","sql":"","options":{"from":9223372036854775808}}}',
    '{"type":"subscribe","subscription":{"id":"o","sql":"","options":[]}}',
    '{"type":"next_batch","subscription_id":"orders","last_seq_id":"316847529014263808"}',
    '{"type":"unsubscribe"}',
  ])('refused: %s', (json) => {
    expect(accepts(clientMessageSchema, json)).toBe(false);
  });
});

describe('server frames', () => {
  test.each([
    '{"type":"auth_success","user":"alice","role":"dba","protocol":{"serialization":"json","compression":"gzip"}}',
    '{"type":"auth_error","message":"Invalid credentials"}',
    '{"type":"subscription_ack","subscription_id":"orders","total_rows":0,"batch_control":{"batch_num":0,"has_more":true,"status":"loading","last_seq_id":316847529014263808},"schema":[{"name":"id","data_type":"Int","index":0,"flags":["pk","nn","uq"]},{"name":"p","data_type":{"Decimal":{"precision":10,"scale":2}},"index":1},{"name":"e","data_type":{"Embedding":3},"index":2}]}',
    '{"type":"initial_data_batch","subscription_id":"orders","rows":[{"id":1,"status":"open","_seq":"316847529014263808","_deleted":false}],"batch_control":{"batch_num":0,"has_more":false,"status":"ready","last_seq_id":null}}',
    '{"type":"change","subscription_id":"orders","change_type":"delete","old_values":[{"id":2,"_deleted":true}]}',
    '{"type":"error","subscription_id":"orders","code":"NOT_FOUND","message":"Not found: Table not found: app:orders"}',
  ])('%s', (json) => {
    expect(accepts(serverMessageSchema, json)).toBe(true);
  });

  test('refused: a role in capitals, a change of an unknown kind', () => {
    const role = '{"type":"auth_success","user":"alice","role":"Dba","protocol":{"serialization":"json","compression":"gzip"}}';
    expect(accepts(serverMessageSchema, role)).toBe(false);
    expect(accepts(serverMessageSchema, '{"type":"change","subscription_id":"o","change_type":"Insert"}')).toBe(false);
  });
});

describe('requests and answers over HTTP', () => {
  test('login takes user or username, and nothing else', () => {
    expect(accepts(loginRequestSchema, '{"user":"alice","password":"x"}')).toBe(true);
    expect(accepts(loginRequestSchema, '{"username":"alice","password":"x"}')).toBe(true);
    expect(accepts(loginRequestSchema, '{"user":"alice","username":"alice","password":"x"}')).toBe(false);
    expect(accepts(loginRequestSchema, '{"user":"alice","password":"x","otp":1}')).toBe(false);
    expect(accepts(loginRequestSchema, `{"user":"${'a'.repeat(129)}","password":"x"}`)).toBe(false);
    expect(accepts(loginRequestSchema, `{"user":"a","password":"${'x'.repeat(257)}"}`)).toBe(false);
  });

  test('setup takes an optional email', () => {
    expect(accepts(setupRequestSchema, '{"user":"admin","password":"kalamdb123","root_password":"kalamdb123","email":"a@b.c"}')).toBe(true);
    expect(accepts(setupRequestSchema, '{"username":"admin","password":"kalamdb123","root_password":"kalamdb123","email":null}')).toBe(
      true,
    );
    expect(accepts(setupRequestSchema, '{"user":"admin","password":"kalamdb123"}')).toBe(false);
  });

  test('login answers', () => {
    const user =
      '{"id":"alice","role":"dba","email":null,"created_at":"2026-02-01T10:00:00.123+00:00","updated_at":"2026-02-01T10:00:00.123+00:00"}';
    const tokens =
      '"expires_at":"2026-02-02T10:00:00+00:00","access_token":"eyJ","refresh_token":"eyJ","refresh_expires_at":"2026-02-08T10:00:00+00:00"';
    expect(accepts(loginResponseSchema, `{"user":${user},"admin_ui_access":true,${tokens}}`)).toBe(true);
  });

  test('SQL requests ignore what they do not know', () => {
    expect(accepts(sqlRequestSchema, '{"sql":"SELECT $1","params":[42,null,true,"x",1.5,[1],{}],"namespace_id":"app","extra":1}')).toBe(
      true,
    );
    expect(accepts(sqlRequestSchema, '{"sql":"SELECT 1","params":null}')).toBe(true);
    expect(accepts(sqlRequestSchema, '{"params":[]}')).toBe(false);
    expect(accepts(sqlRequestSchema, '{"sql":"SELECT 1","params":{}}')).toBe(false);
  });

  test.each([
    '{"status":"success","results":[{"schema":[{"name":"id","data_type":"Int","index":0}],"rows":[[1,"316847529014263808"]],"row_count":1,"as_user":"alice"}],"took":1.044,"error":null}',
    '{"status":"success","results":[{"row_count":2,"message":"Inserted 2 row(s)","as_user":"alice"}],"took":2.5}',
    '{"status":"error","results":[],"took":0.9,"error":{"code":"SQL_EXECUTION_ERROR","message":"Statement 1 failed","details":"SELECT"}}',
  ])('SQL answer %s', (json) => {
    expect(accepts(sqlResponseSchema, json)).toBe(true);
  });

  test('health', () => {
    expect(
      accepts(healthResponseSchema, '{"status":"healthy","version":"0.4.3","api_version":"v1","build_date":"2026-01-31T08:00:00Z"}'),
    ).toBe(true);
    const node =
      '{"node_id":1,"role":"leader","status":"active","api_addr":"127.0.0.1:8080","is_self":true,"is_leader":true,"replication_lag":null}';
    const cluster = `{"status":"healthy","is_cluster_mode":true,"node_id":1,"is_leader":true,"total_groups":3,"groups_leading":3,"current_term":1,"nodes":[${node}]}`;
    expect(accepts(clusterHealthResponseSchema, cluster)).toBe(true);
  });
});

test('a schema that differs from its type does not compile', () => {
  interface Point {
    readonly x: number;
  }
  const bound: Static<MessageSchema<Point>> = { x: 1 };
  expect(bound.x).toBe(1);
  // @ts-expect-error the type of the member differs
  messageSchema<Point>()(Type.Object({ x: Type.String() }));
  // @ts-expect-error the schema has a member more
  messageSchema<Point>()(Type.Object({ x: Type.Number(), y: Type.Number() }));
});
