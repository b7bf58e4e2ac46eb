import type { BatchControl, LiveFrame, Principal } from '@kalamdb/engine';
import { jsonString } from '@kalamdb/protocol';
import { columnText } from '../http/result-columns.ts';
import type { WantedProtocol } from './client-message.ts';

/** The frame that tells a client who it is (wire-protocol 4.2). */
export function authSuccessFrame(principal: Principal, protocol: WantedProtocol): string {
  return `{"type":"auth_success","user":${jsonString(principal.userId)},"role":"${principal.role}","protocol":{"serialization":"${protocol.serialization}","compression":"${protocol.compression}"}}`;
}

/** The frame before a connection is closed for want of authentication. */
export function authErrorFrame(message: string): string {
  return `{"type":"auth_error","message":${jsonString(message)}}`;
}

/** An error about one subscription, or about the connection under one of the reserved ids (wire-protocol 4.8). */
export function errorFrame(subscriptionId: string, code: string, message: string): string {
  return `{"type":"error","subscription_id":${jsonString(subscriptionId)},"code":"${code}","message":${jsonString(message)}}`;
}

/** The text of a live frame (wire-protocol 4.6). Members that all receivers share come from the frame's body. */
export function liveFrameText(frame: LiveFrame): string {
  const id = jsonString(frame.subscriptionId);
  switch (frame.kind) {
    case 'ack':
      return `{"type":"subscription_ack","subscription_id":${id},"total_rows":0,"batch_control":${controlText(frame.control)},"schema":${columnText(frame.schema).schema}}`;
    case 'batch':
      return `{"type":"initial_data_batch","subscription_id":${id},${frame.rows.json()},"batch_control":${controlText(frame.control)}}`;
    case 'change':
      return `{"type":"change","subscription_id":${id},${frame.body.json()}}`;
    case 'error':
      return errorFrame(frame.subscriptionId, frame.code, frame.message);
    default:
      return frame satisfies never;
  }
}

/** `last_seq_id` is a bare 64-bit integer, never a JavaScript number. */
function controlText(control: BatchControl): string {
  const last = control.lastSeqId === undefined ? 'null' : String(control.lastSeqId);
  return `{"batch_num":${control.batchNum},"has_more":${control.hasMore},"status":"${control.status}","last_seq_id":${last}}`;
}
