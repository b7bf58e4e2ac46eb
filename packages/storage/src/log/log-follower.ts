import type { RecordBlock } from '../contract.ts';

/** Who reads the log while it is being opened, instead of reading it again afterwards. */
export interface LogFollower {
  /** Takes records above the point that the log is opened at, in order. They need not be on the disk yet. */
  take(block: RecordBlock): void;
  /** What was taken until now is on the disk. The log waits; what is taken after the last call is on the disk when it is open. */
  confirmed(): Promise<void>;
}
