import { type ClipboardEvent, useEffect, useState } from 'react';

/** Files that are dragged over the page; a drop gives them to onFiles. Answers whether something is over it now. */
export function useDrop(onFiles: (files: readonly File[]) => void): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const carries = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    // Entering what is inside comes before leaving what is around it.
    let inside = 0;
    const enter = (event: DragEvent) => {
      if (!carries(event)) return;
      inside++;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!carries(event)) return;
      inside = Math.max(0, inside - 1);
      if (inside === 0) setOver(false);
    };
    const hover = (event: DragEvent) => {
      if (carries(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!carries(event)) return;
      event.preventDefault(); // the browser would leave the page for the file
      inside = 0;
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      // A dialog is over the conversation: nobody means it.
      if (files.length > 0 && !document.querySelector('dialog[open]')) onFiles(files);
    };
    window.addEventListener('dragenter', enter);
    window.addEventListener('dragleave', leave);
    window.addEventListener('dragover', hover);
    window.addEventListener('drop', drop);
    return () => {
      window.removeEventListener('dragenter', enter);
      window.removeEventListener('dragleave', leave);
      window.removeEventListener('dragover', hover);
      window.removeEventListener('drop', drop);
    };
  }, [onFiles]);
  return over;
}

/** The files of a paste; none where there is text too, as from a table. */
export function pasted(event: ClipboardEvent): readonly File[] {
  const { files, types } = event.clipboardData;
  return types.includes('text/plain') ? [] : [...files];
}
