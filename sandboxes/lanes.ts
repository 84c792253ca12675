// One thing at a time for each name; different names do not wait for each other.

export type Lanes = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export function lanes(): Lanes {
  const tails = new Map<string, Promise<unknown>>();
  return (name, work) => {
    const run = (tails.get(name) ?? Promise.resolve()).then(work);
    // The next one starts however this one ended.
    const tail = run.catch(() => {});
    tails.set(name, tail);
    void tail.then(() => {
      if (tails.get(name) === tail) tails.delete(name);
    });
    return run;
  };
}
