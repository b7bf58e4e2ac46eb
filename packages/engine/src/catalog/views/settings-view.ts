import type { ScanProvider } from '../catalog.ts';
import { required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const SETTINGS: Table = systemTable({
  id: 103,
  name: 'settings',
  comment: 'The settings in force',
  columns: [
    required('name', 'text', 'Name'),
    required('value', 'text', 'Value; secrets are masked by the source'),
    required('description', 'text', 'What it does'),
    required('category', 'text', 'First part of the name'),
  ],
});

/** One setting in force. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  readonly description: string;
}

/** `system.settings` (catalog B6). The source leaves secrets out or masks them. */
export function settingsView(source: () => Iterable<Setting>): ScanProvider {
  return {
    table: SETTINGS,
    rows: () =>
      [...source()].map(({ name, value, description }) =>
        computedRow([name, value, description, name.slice(0, Math.max(0, name.indexOf('.')))]),
      ),
  };
}
