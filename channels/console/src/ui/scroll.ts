// A scrolling column that follows its end while the reader is there, and leaves the reader alone everywhere else.
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Pixels from the end that still count as being there. */
const NEAR = 90;
/** A scroll this soon after one of these is the reader's. */
const INTENTS = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const;
const INTENT_MS = 800;

export interface FollowingScroll {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  /** True while the reader is at the end. */
  atEnd: boolean;
  toEnd: () => void;
}

/**
 * `key` names what is shown: another one starts at its end. `first` names the first thing in it: when that changes,
 * something was added above, and what is being read stays where it is.
 */
export function useFollowingScroll(key: string, first: string): FollowingScroll {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const height = useRef(0);
  const [atEnd, setAtEnd] = useState(true);

  function toEnd(): void {
    following.current = true;
    setAtEnd(true);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  }

  useLayoutEffect(() => {
    const box = scroller.current;
    const inside = content.current;
    if (!box || !inside) return;
    toEnd();
    let top = box.scrollTop;
    let touched = -INTENT_MS;
    let room = box.clientHeight;
    const onIntent = () => {
      touched = performance.now();
    };
    const onScroll = () => {
      const left = box.scrollHeight - box.scrollTop - box.clientHeight;
      // The browser moves the position too, when content shrinks and grows: that is no decision of the reader.
      const still = box.scrollHeight === height.current && box.clientHeight === room;
      const decided = still || performance.now() - touched < INTENT_MS;
      if (left < NEAR) following.current = true;
      else if (box.scrollTop < top - 2 && decided) following.current = false;
      top = box.scrollTop;
      setAtEnd(following.current);
    };
    const observer = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight;
      top = box.scrollTop;
      height.current = box.scrollHeight;
      room = box.clientHeight;
    });
    for (const name of INTENTS) box.addEventListener(name, onIntent, { passive: true });
    box.addEventListener('scroll', onScroll, { passive: true });
    observer.observe(inside);
    observer.observe(box);
    return () => {
      for (const name of INTENTS) box.removeEventListener(name, onIntent);
      box.removeEventListener('scroll', onScroll);
      observer.disconnect();
    };
  }, [key]);

  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && !following.current) box.scrollTop += box.scrollHeight - height.current;
    if (box) height.current = box.scrollHeight;
  }, [first]);

  return { scroller, content, atEnd, toEnd };
}

/** Calls back whenever the element comes into view. Put its ref on a sentinel at the start of a list. */
export function useSeen(onSeen: () => void, enabled: boolean): RefObject<HTMLDivElement | null> {
  const ref = useRef<HTMLDivElement>(null);
  const callback = useRef(onSeen);
  callback.current = onSeen;
  useLayoutEffect(() => {
    if (!enabled || !ref.current) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) callback.current();
      },
      { rootMargin: '300px' },
    );
    observer.observe(ref.current);
    return () => observer.disconnect();
  });
  return ref;
}
