import { Button, Modal, PasswordInput, Textarea, TextInput } from '@mantine/core';
import { createContext, type FormEvent, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import { useText } from './language';
import { errorText } from './problem';

/** What is asked before something is done that cannot be undone. */
export interface Question {
  readonly title: string;
  /** What will happen, and to whom. */
  readonly body: string;
  /** What the button says. */
  readonly action: string;
  /** This name must be typed first: for the worst. */
  readonly typed?: string;
  /** Asks for a reason or a new value too, which run gets. */
  readonly input?: { readonly label: string; readonly kind: 'text' | 'area' | 'password'; readonly required: boolean; readonly minLength?: number };
  /** Not red: it can be undone. */
  readonly mild?: boolean;
  /** May say what to show instead of done. */
  readonly run: (input: string) => Promise<string | undefined | void>;
  readonly done: string;
}

interface Actions {
  /** Asks first. */
  ask(question: Question): void;
  /** Does it at once, and says how it went. */
  act(run: () => Promise<unknown>, done: string): void;
}

const Context = createContext<Actions | null>(null);

export function useActions(): Actions {
  const actions = useContext(Context);
  if (!actions) throw new Error('outside of ActionsProvider');
  return actions;
}

const shownFor = 8_000; // ms

/** What an action came to. Only what says no more than that it is done goes by itself: a password must be read first. */
interface Notice {
  readonly id: number;
  readonly text: string;
  readonly kind: 'done' | 'told' | 'failed';
}

/** The question that is open, and what the last action came to. */
export function ActionsProvider({ children }: { readonly children: ReactNode }) {
  const text = useText();
  const [question, setQuestion] = useState<Question | null>(null);
  const [opened, setOpened] = useState(false);
  const [notice, setNotice] = useState<Notice | null>(null);

  const say = useCallback((said: string, kind: Notice['kind']) => setNotice((old) => ({ id: (old?.id ?? 0) + 1, text: said, kind })), []);
  useEffect(() => {
    if (notice?.kind !== 'done') return;
    const timer = window.setTimeout(() => setNotice(null), shownFor);
    return () => window.clearTimeout(timer);
  }, [notice]);
  const actions = useMemo<Actions>(
    () => ({
      ask: (asked) => {
        setQuestion(asked);
        setOpened(true);
      },
      act: (run, done) => {
        run().then(
          () => say(done, 'done'),
          (error: unknown) => say(errorText(text, error), 'failed'),
        );
      },
    }),
    [text, say],
  );
  return (
    <Context value={actions}>
      {children}
      <Modal opened={opened} onClose={() => setOpened(false)} title={question?.title ?? ''} closeButtonProps={{ 'aria-label': text.close }}>
        {question ? (
          <Asked
            key={`${question.title}${question.body}`}
            question={question}
            close={() => setOpened(false)}
            done={(told) => {
              setOpened(false);
              say(told ?? question.done, told === undefined ? 'done' : 'told');
            }}
          />
        ) : null}
      </Modal>
      <div className="notices" role="status" aria-live="polite">
        {notice ? (
          <div key={notice.id} className={notice.kind === 'failed' ? 'notice notice-bad' : 'notice'}>
            <span>{notice.text}</span>
            <button type="button" className="notice-close" aria-label={text.close} onClick={() => setNotice(null)}>
              ×
            </button>
          </div>
        ) : null}
      </div>
    </Context>
  );
}

function Asked({ question, close, done }: { readonly question: Question; readonly close: () => void; readonly done: (told: string | undefined) => void }) {
  const text = useText();
  const [typed, setTyped] = useState('');
  const [input, setInput] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const asked = question.input;

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      done((await question.run(input)) ?? undefined);
    } catch (failure) {
      setError(errorText(text, failure));
      setBusy(false);
    }
  }

  const shared = asked ? { label: asked.label, required: asked.required, withAsterisk: false, maxLength: asked.kind === 'password' ? 128 : 200, value: input, minLength: asked.minLength } : null;
  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <p className="question">{question.body}</p>
      {asked?.kind === 'text' ? <TextInput {...shared} onChange={(event) => setInput(event.currentTarget.value)} /> : null}
      {asked?.kind === 'password' ? <PasswordInput {...shared} autoComplete="new-password" onChange={(event) => setInput(event.currentTarget.value)} /> : null}
      {asked?.kind === 'area' ? <Textarea {...shared} rows={2} onChange={(event) => setInput(event.currentTarget.value)} /> : null}
      {question.typed ? <TextInput label={text.typeToConfirm(question.typed)} value={typed} autoComplete="off" spellCheck={false} onChange={(event) => setTyped(event.currentTarget.value)} /> : null}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <div className="row end">
        <Button variant="default" onClick={close}>
          {text.cancel}
        </Button>
        <Button type="submit" color={question.mild ? undefined : 'red'} loading={busy} disabled={question.typed !== undefined && typed.trim() !== question.typed}>
          {question.action}
        </Button>
      </div>
    </form>
  );
}
