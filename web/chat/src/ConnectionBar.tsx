import type { Connection } from '@ackbox/client';
import { useClient, useObservable } from './client';
import { type Text, useText } from './language';

/** The state of the connection in words, and what can be done about it; always there for screen readers. */
export function ConnectionBar() {
  const client = useClient();
  const text = useText();
  const connection = useObservable(client.connection);
  const quiet = connection.state === 'online' || connection.state === 'idle';
  return (
    <div className={quiet ? 'hidden' : `bar bar-${connection.state}`} role="status" data-state={connection.state}>
      <span>{words(text, connection)}</span>
      {connection.state === 'waiting' ? (
        <button type="button" className="link" onClick={() => client.retryNow()}>
          {text.retryNow}
        </button>
      ) : null}
      {connection.state === 'stopped' && connection.reason === 'device_taken' ? (
        <button type="button" className="link" onClick={() => void client.connect()}>
          {text.takeBack}
        </button>
      ) : null}
    </div>
  );
}

function words(text: Text, connection: Connection): string {
  switch (connection.state) {
    case 'idle':
    case 'connecting':
      return text.connecting;
    case 'catching_up':
      return text.catchingUp;
    case 'online':
      return text.connected;
    case 'waiting':
      return connection.offline ? text.noNetwork : (closes(text).get(connection.code) ?? text.retryIn);
    case 'signed_out':
      return text.ended;
    case 'stopped':
      return connection.reason === 'device_taken' ? text.deviceTaken : text.refused;
  }
}

/** What the server said when it closed the link, where it helps to know. */
function closes(text: Text): ReadonlyMap<number, string> {
  return new Map([
    [1001, text.closed.stops],
    [1012, text.closed.stops],
    [1013, text.closed.busy],
    [4001, text.closed.token],
    [4008, text.closed.slow],
    [4009, text.closed.slow],
    [4010, text.closed.restored],
  ]);
}
