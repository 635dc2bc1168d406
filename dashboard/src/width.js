// The width of an element, so that a plot has text of the same size on every screen.

import { useLayoutEffect, useRef, useState } from "preact/hooks";

export function useWidth() {
  const element = useRef();
  const [width, change] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => change(Math.round(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}
