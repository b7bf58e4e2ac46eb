// Loaded into a server under test (`--import`): SIGUSR2 makes happen what CRASH_BY says.

const workers = new Set();
let always = false;
process.on('worker', (worker) => {
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
  if (always) void worker.terminate();
});

function endThreads() {
  process.stdout.write(`ending ${workers.size} threads\n`);
  for (const worker of workers) void worker.terminate();
}

process.on('SIGUSR2', () => {
  const by = process.env['CRASH_BY'];
  if (by === 'exception') throw new Error('a planted exception');
  if (by === 'rejection') return void Promise.reject(new Error('a planted rejection'));
  always = by === 'threads-for-ever';
  endThreads();
});
