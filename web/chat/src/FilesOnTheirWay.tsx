import { ActionIcon } from '@mantine/core';
import { CloseIcon } from './icons';
import { useText } from './language';
import { sizeOf } from './media';
import { errorText } from './problem';
import { useFilesOnTheirWay, useUploads } from './uploads';

/** The files that go into a conversation: how far they are, why one has failed, and how to end it. */
export function FilesOnTheirWay({ place }: { place: string }) {
  const text = useText();
  const uploads = useUploads();
  const files = useFilesOnTheirWay().filter((file) => file.place === place);
  if (files.length === 0) return null;
  return (
    <ul className="uploads">
      {files.map((file) => (
        <li key={file.key} className="upload">
          <div className="grow">
            <div className="upload-name">
              <span className="ellipsis">{file.name}</span>
              <span className="dim">
                {sizeOf(file.size)}
                {file.smaller ? ` · ${text.madeSmaller}` : ''}
              </span>
            </div>
            {file.error ? (
              <p className="error" role="alert">
                {errorText(text, file.error)}{' '}
                <button type="button" className="link" onClick={() => uploads.again(file.key)}>
                  {text.tryAgain}
                </button>
              </p>
            ) : (
              <progress aria-label={text.uploadOf(file.name)} max={1} value={file.done ?? 0} />
            )}
          </div>
          <ActionIcon variant="subtle" aria-label={text.cancelUpload(file.name)} onClick={() => uploads.cancel(file.key)}>
            <CloseIcon />
          </ActionIcon>
        </li>
      ))}
    </ul>
  );
}
