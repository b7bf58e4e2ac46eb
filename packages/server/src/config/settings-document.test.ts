import { expect, test } from 'vitest';
import { settingsDocument } from './settings-document.ts';

test('docs/settings.md is what the table of settings says', async () => {
  const how = 'regenerate docs/settings.md: npx vitest run packages/server/src/config/settings-document.test.ts -u';
  await expect(settingsDocument(), how).toMatchFileSnapshot('../../../../docs/settings.md');
});
