import { Button } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { Dialog } from './Dialog';
import { useText } from './language';

interface Question {
  readonly title: string;
  readonly words: string;
  /** What is done if the answer is yes. */
  readonly onYes: () => void;
}

/** Asks before something that cannot be taken back. `ask` opens the question, which is `asked`. */
export function useQuestion(): { ask: (question: Question) => void; asked: ReactNode } {
  const text = useText();
  const [question, setQuestion] = useState<Question | null>(null);
  if (!question) return { ask: setQuestion, asked: null };
  const close = () => setQuestion(null);
  return {
    ask: setQuestion,
    asked: (
      <Dialog title={question.title} onClose={close}>
        <p>{question.words}</p>
        <div className="row row-end">
          <Button variant="default" data-autofocus onClick={close}>
            {text.cancel}
          </Button>
          <Button
            color="red"
            onClick={() => {
              close();
              question.onYes();
            }}
          >
            {question.title}
          </Button>
        </div>
      </Dialog>
    ),
  };
}
