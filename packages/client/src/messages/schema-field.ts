/** A column's type as the wire spells it. */
export type KalamDataType =
  | 'Boolean'
  | 'SmallInt'
  | 'Int'
  | 'BigInt'
  | 'Float'
  | 'Double'
  | 'Text'
  | 'Timestamp'
  | 'DateTime'
  | 'Date'
  | 'Time'
  | 'Json'
  | 'Bytes'
  | 'Uuid'
  | 'File'
  | { readonly Embedding: number }
  | { readonly Decimal: { readonly precision: number; readonly scale: number } };

/** `pk` part of the key, `nn` never NULL, `uq` unique. */
export type FieldFlag = 'pk' | 'nn' | 'uq';

/** One column of a result or of a subscription. */
export interface SchemaField {
  readonly name: string;
  readonly data_type: KalamDataType;
  /** 0-based position. */
  readonly index: number;
  readonly flags?: readonly FieldFlag[];
}
