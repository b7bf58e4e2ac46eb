import { systemClock, systemRandom, systemTimers } from '@kalamdb/protocol';
import { S3Server } from '@kalamdb/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { systemFiles } from '../../files/file-system.ts';
import { describeObjectStore } from '../object-store.conformance.ts';
import { readS3Settings } from './s3-settings.ts';
import { openS3Store } from './s3-store.ts';

const isMissing = S3Server.program() === undefined;

describe.skipIf(isMissing)(`against an S3 server${isMissing ? ': left out, KALAMDB_TEST_S3_SERVER names none' : ''}`, () => {
  let server: S3Server;

  beforeAll(async () => {
    server = await S3Server.start();
  });

  afterAll(() => server.stop());

  describeObjectStore({
    name: 'in a bucket',
    isLocal: false,
    largeBytes: 20_000_000,
    runs: 8,
    open: async () =>
      openS3Store({
        storage: 's3',
        settings: readS3Settings({ location: 's3://bucket/base/one', credentials: server.credentials, config: server.config }),
        files: systemFiles,
        clock: systemClock,
        timers: systemTimers,
        random: systemRandom,
      }),
  });
});
