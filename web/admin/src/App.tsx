import { useEffect, useState } from 'react';
import { ActionsProvider } from './Actions';
import { api } from './calls';
import { Refused } from './call';
import { session, useSession } from './session';
import { Shell } from './Shell';
import { SignIn } from './SignIn';
import { Failure, Loading } from './States';

/** Signs in, or shows the dashboard to who is signed in. */
export function App() {
  const { session: known } = useSession();
  const [error, setError] = useState<unknown>(undefined);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let gone = false;
    api.session().then(session.begin, (failure: unknown) => {
      if (gone) return;
      if (failure instanceof Refused && failure.status < 500) session.leave();
      else setError(failure);
    });
    return () => {
      gone = true;
    };
  }, [round]);
  if (known) {
    return (
      <ActionsProvider key={known.user.id}>
        <Shell me={known.user} />
      </ActionsProvider>
    );
  }
  if (known === null) return <SignIn />;
  if (error === undefined) return <Loading />;
  return (
    <main className="page">
      <Failure
        error={error}
        retry={() => {
          setError(undefined);
          setRound(round + 1);
        }}
      />
    </main>
  );
}
