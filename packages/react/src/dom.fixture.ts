import { Window } from 'happy-dom';

/**
 * A page for React to render into, imported before anything of React. Only what React looks for is global: the client goes on with
 * the runtime's own sockets, requests and signals.
 */
export const page: Window = new Window({ url: 'http://localhost/' });

const globals = { window: page, document: page.document, navigator: page.navigator };
for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
