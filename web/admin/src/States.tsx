import { Alert, Button, Loader } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Answer } from './answer';
import { useText } from './language';
import { errorText } from './problem';

/** Says that nodes did not answer, so that nobody takes a part for the whole. */
export function MissingNodes({ nodes }: { readonly nodes: readonly string[] | null | undefined }) {
  const text = useText();
  if (!nodes || nodes.length === 0) return null;
  return (
    <div className="banner" role="status">
      {text.missingNodes(nodes.join(', '))}
    </div>
  );
}

export function Failure({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  const text = useText();
  return (
    <Alert color="red" variant="light" role="alert" className="failure">
      <div className="row spread">
        <span>{errorText(text, error)}</span>
        {retry ? (
          <Button size="xs" variant="default" onClick={retry}>
            {text.tryAgain}
          </Button>
        ) : null}
      </div>
    </Alert>
  );
}

export function Loading() {
  const text = useText();
  return (
    <div className="loading" role="status">
      <Loader size="sm" aria-hidden="true" />
      <span>{text.loading}</span>
    </div>
  );
}

export function Empty({ children }: { readonly children: ReactNode }) {
  return <p className="empty">{children}</p>;
}

/** Shows an answer when there is one, with what went wrong above the newest that is known. */
export function Answered<T>({ answer, children }: { readonly answer: Answer<T>; readonly children: (data: T) => ReactNode }) {
  return (
    <>
      {answer.error !== undefined ? <Failure error={answer.error} retry={answer.reload} /> : null}
      {answer.data !== undefined ? children(answer.data) : answer.error === undefined ? <Loading /> : null}
    </>
  );
}
