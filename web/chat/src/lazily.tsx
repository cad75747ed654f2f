import { Button } from '@mantine/core';
import { type ComponentType, useEffect, useState } from 'react';
import { Dialog } from './Dialog';
import { useText } from './language';

type Load<P> = () => Promise<ComponentType<P>>;

const loads: (() => Promise<unknown>)[] = [];

/** A panel that is loaded when it is first shown, so that the page is there sooner. */
export function lazily<P extends { onClose: () => void }>(load: Load<P>): ComponentType<P> {
  loads.push(load);
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [Panel, setPanel] = useState<ComponentType<P> | null>(() => loaded);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (Panel || failed) return;
      let gone = false;
      load().then(
        (found) => {
          loaded = found;
          if (!gone) setPanel(() => found);
        },
        () => {
          if (!gone) setFailed(true);
        },
      );
      return () => {
        gone = true;
      };
    }, [Panel, failed]);
    if (Panel) return <Panel {...props} />;
    return failed ? <NotLoaded onClose={props.onClose} onAgain={() => setFailed(false)} /> : null;
  };
}

/** Loads every panel while nothing else is to do, so that they are there without a network and after the server has another version. */
export function loadAll(): void {
  const wait = 'requestIdleCallback' in window ? (fn: () => void) => window.requestIdleCallback(fn, { timeout: 10_000 }) : (fn: () => void) => setTimeout(fn, 2_000);
  wait(() => {
    // One that cannot be loaded now is loaded when it is shown, and says so.
    for (const load of loads) load().catch(() => undefined);
  });
}

function NotLoaded({ onClose, onAgain }: { onClose: () => void; onAgain: () => void }) {
  const text = useText();
  return (
    <Dialog title={text.notLoaded} onClose={onClose}>
      <p>{text.notLoadedHelp}</p>
      <div className="row">
        <Button onClick={onAgain}>{text.tryAgain}</Button>
        <Button variant="default" onClick={() => window.location.reload()}>
          {text.reload}
        </Button>
      </div>
    </Dialog>
  );
}
