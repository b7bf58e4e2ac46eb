import type { BatchControl, LiveFrame, Principal } from '@kalamdb/engine';
import { jsonString } from '@kalamdb/protocol';
import { columnText } from '../http/sql/result-columns.ts';
import type { WantedProtocol } from './client-message.ts';
import { grantedExtensions } from './extensions.ts';

/** The frame that tells a client who it is (wire-protocol 4.2); extensions only to a client that has asked for some. */
export function authSuccessFrame(principal: Principal, { serialization, compression, extensions }: WantedProtocol): string {
  const granted = extensions === undefined ? '' : `,"extensions":${JSON.stringify(grantedExtensions(extensions))}`;
  return `{"type":"auth_success","user":${jsonString(principal.userId)},"role":"${principal.role}","protocol":{"serialization":"${serialization}","compression":"${compression}"${granted}}}`;
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
      return `{"type":"subscription_ack","subscription_id":${id},"total_rows":0,${windowText(frame.limit)}"batch_control":${controlText(frame.control)},"schema":${columnText(frame.schema).schema}}`;
    case 'batch':
      return `{"type":"initial_data_batch","subscription_id":${id},${moreText(frame)}"rows":[${frame.rows.join(',')}],"batch_control":${controlText(frame.control)}}`;
    case 'change':
      return `{"type":"change","subscription_id":${id},${moreText(frame)}${frame.body.json()}}`;
    case 'progress':
      return `{"type":"progress","subscription_id":${id},"seq":${frame.seq}}`;
    case 'error':
      return errorFrame(frame.subscriptionId, frame.code, frame.message);
    default:
      return frame satisfies never;
  }
}

function windowText(limit: number | undefined): string {
  return limit === undefined ? '' : `"window":{"limit":${limit}},`;
}

function moreText({ more = false }: { readonly more?: boolean | undefined }): string {
  return more ? '"more":true,' : '';
}

/** `last_seq_id` is a bare 64-bit integer, never a JavaScript number. */
function controlText(control: BatchControl): string {
  const last = control.lastSeqId === undefined ? 'null' : String(control.lastSeqId);
  return `{"batch_num":${control.batchNum},"has_more":${control.hasMore},"status":"${control.status}","last_seq_id":${last}}`;
}
