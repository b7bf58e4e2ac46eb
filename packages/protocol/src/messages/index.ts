// biome-ignore-all lint/performance/noBarrelFile: this is the door of @kalamdb/protocol/messages
export {
  authFailureSchema,
  loginRequestSchema,
  loginResponseSchema,
  meResponseSchema,
  roleNameSchema,
  setupRequestSchema,
  setupResponseSchema,
  setupStatusSchema,
  userInfoSchema,
} from './auth.ts';
export { clusterHealthResponseSchema, clusterNodeSchema, healthResponseSchema, localOnlyResponseSchema } from './health.ts';
export { int64Schema, jsonSchema, type MessageSchema } from './message-schema.ts';
export { clientMessageSchema, socketProtocolSchema, subscribeOptionsSchema } from './socket-client.ts';
export { batchControlSchema, serverMessageSchema } from './socket-server.ts';
export { schemaEntrySchema, sqlErrorBodySchema, sqlRequestSchema, sqlResponseSchema, sqlResultSchema } from './sql.ts';
