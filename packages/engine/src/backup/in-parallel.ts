/** Does work for each of several things, at most `runningMax` at a time; rejects with the first failure when what runs has ended. */
export async function inParallel<T>(things: readonly T[], runningMax: number, work: (thing: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const runner = async (): Promise<void> => {
    while (failures.length === 0 && next < things.length) {
      const thing = things[next++] as T;
      await work(thing).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(runningMax, things.length) }, runner));
  if (failures.length > 0) throw failures[0];
}
