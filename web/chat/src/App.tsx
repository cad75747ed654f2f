import { useEffect, useState } from 'react';
import { useClient, useObservable } from './client';
import { Home } from './Home';
import { SignIn } from './SignIn';

/** Signs in, or shows the conversations of who is signed in. */
export function App() {
  const client = useClient();
  const session = useObservable(client.session);
  const [ready, setReady] = useState(false);
  useEffect(() => {
    let gone = false;
    client.ready.finally(() => {
      if (!gone) setReady(true);
    });
    return () => {
      gone = true;
    };
  }, [client]);
  if (!ready) return null;
  return session ? <Home key={session.user.user_id} me={session.user} /> : <SignIn />;
}
