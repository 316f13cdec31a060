/** Hands out the first of what it holds, in an order. */
export interface Heap<Item> {
  readonly size: number;
  push(item: Item): void;
  /** The first, which stays. */
  peek(): Item | undefined;
  /** The first, which goes. */
  pop(): Item | undefined;
  /** All of them, in no particular order. It must not change while they are gone through. */
  values(): Iterable<Item>;
}

/** An empty heap. `isBefore` orders its items; of equal ones any may come first. */
export function createHeap<Item>(isBefore: (one: Item, other: Item) => boolean): Heap<Item> {
  // A binary heap: each item comes before the two at twice its place, and one more.
  const items: Item[] = [];

  function rise(item: Item, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!isBefore(item, items[above]!)) break;
      items[place] = items[above]!;
      place = above;
    }
    items[place] = item;
  }

  function sink(item: Item): void {
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && isBefore(items[below + 1]!, items[below]!)) below += 1;
      if (!isBefore(items[below]!, item)) break;
      items[place] = items[below]!;
      place = below;
    }
    items[place] = item;
  }

  return {
    get size() {
      return items.length;
    },
    push: (item) => rise(item, items.length),
    peek: () => items[0],
    values: () => items,
    pop() {
      const first = items[0];
      const last = items.pop();
      if (items.length > 0) sink(last!);
      return first;
    },
  };
}
