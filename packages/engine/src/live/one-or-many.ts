/** A set that mostly has one member, as little as it can be: a Set of its own costs some two hundred bytes. It is never empty. */
export type OneOrMany<T extends object> = T | Set<T>;

/** With one member more, which is not a Set. What was given is used up, but for those who walk it. */
export function withOne<T extends object>(held: OneOrMany<T> | undefined, item: T): OneOrMany<T> {
  if (held === undefined || held === item) return item;
  if (held instanceof Set) return held.add(item);
  return new Set([held, item]);
}

/** Without a member; `undefined`: it was the last one. */
export function withoutOne<T extends object>(held: OneOrMany<T> | undefined, item: T): OneOrMany<T> | undefined {
  if (!(held instanceof Set)) return held === item ? undefined : held;
  held.delete(item);
  return held.size === 0 ? undefined : held;
}

/** Whether it is a member. */
export function holds<T extends object>(held: OneOrMany<T> | undefined, item: T): boolean {
  return held instanceof Set ? held.has(item) : held === item;
}

/** The members in the order in which they came. Of a set they are walked as it is: members may come and go meanwhile. */
export function eachOf<T extends object>(held: OneOrMany<T> | undefined): Iterable<T> {
  if (held === undefined) return [];
  return held instanceof Set ? held : [held];
}

/** How many members there are. */
export function countOf<T extends object>(held: OneOrMany<T> | undefined): number {
  if (held === undefined) return 0;
  return held instanceof Set ? held.size : 1;
}
