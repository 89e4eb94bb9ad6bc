// The lines of the table: a course is what is done in turn with one data set in a new repository, a step is one thing that is
// measured. Each step has a line for its wall seconds, and one for every other figure that is taken of it.
// Goals: see bench-common/report.mjs.

const stored = { stored: [{ ofPeers: 1.03 }] };
const bounded = { anonymous: [{ atMost: 300 }] };

/** `goals` are of the wall seconds, `figures` of the other figures of the step. */
export const courses = [
  {
    id: 'system',
    data: 'system',
    title: 'system tree',
    steps: [
      { id: 'first', goals: [{ peers: 3 }], figures: stored },
      { id: 'unchanged', goals: [{ peers: 2 }] },
      { id: 'restore', goals: [{ peers: 2 }, { disk: 1 }] },
    ],
  },
  {
    id: 'source',
    data: 'source',
    title: 'source code',
    steps: [{ id: 'first', goals: [{ peers: 2.5 }], figures: stored }],
  },
  {
    id: 'text',
    data: 'text',
    title: 'small text files',
    steps: [
      { id: 'first', goals: [{ peers: 4 }], figures: stored },
      { id: 'unchanged', goals: [{ peers: 1.5 }] },
      { id: 'restore', goals: [{ peers: 2 }] },
    ],
  },
  {
    id: 'random',
    data: 'random',
    title: 'one big random file',
    steps: [
      { id: 'first', goals: [{ peers: 2.5 }], figures: stored },
      { id: 'changed', goals: [{ peers: 5 }] },
      { id: 'restore', goals: [{ peers: 2 }] },
    ],
  },
  {
    id: 'million',
    data: 'million',
    title: 'many tiny files',
    steps: [
      { id: 'first', goals: [{ peers: 5 }], figures: { ...stored, ...bounded } },
      { id: 'unchanged', goals: [{ peers: 2 }], figures: bounded },
    ],
  },
  {
    id: 'tiny',
    data: 'tiny',
    title: 'ten files, with a password',
    steps: [
      { id: 'first', goals: [] },
      { id: 'unchanged', goals: [{ atMost: 0.3 }] },
    ],
  },
  {
    id: 's3-system',
    data: 'system',
    store: 's3',
    title: 'S3, system tree',
    steps: [
      { id: 'first', goals: [{ peers: 1 }], figures: stored },
      { id: 'restore', goals: [{ peers: 1 }] },
    ],
  },
  {
    id: 'slow-mixed',
    data: 'mixed',
    store: 'slow',
    title: 'slow S3, incompressible',
    steps: [
      { id: 'first', goals: [{ atMost: 1.1, of: 'bandwidth' }] },
      { id: 'unchanged', goals: [{ atMost: 0.5 }], figures: { requests: [{ atMost: 3 }] } },
      { id: 'changed', goals: [], figures: { requests: [{ atMost: 5 }] } },
      { id: 'restore', goals: [{ atMost: 1.1, of: 'bandwidth' }] },
    ],
  },
  {
    id: 'slow-text',
    data: 'text',
    store: 'slow',
    title: 'slow S3, small text files',
    steps: [{ id: 'first', goals: [], figures: { excess: [{ atMost: 10 }] } }],
  },
];

const stepTitles = {
  first: 'first backup',
  unchanged: 'nothing changed',
  changed: 'a little changed',
  restore: 'restore',
};

/** Every figure that may be taken of a step besides `elapsed`, which is that of the step's own line. */
const figureTitles = {
  cpu: ['… CPU, user and system', 'CPU s'],
  anonymous: ['… peak memory, anonymous', 'MB'],
  mapped: ['… peak memory, mapped from files', 'MB'],
  stored: ['… stored', 'MB stored'],
  requests: ['… requests', 'requests'],
  excess: ['… beyond one per 16 MiB stored', 'requests'],
};

export const lineOf = (course, step) => `${course.id}-${step.id}`;

/** Of these courses, the lines that are chosen, with those of all their figures after them. */
export function linesOf(someCourses, isChosen = () => true) {
  return someCourses.flatMap((course) =>
    course.steps
      .filter((step) => isChosen(lineOf(course, step)))
      .flatMap((step) => {
        const id = lineOf(course, step);
        return [
          { id, title: `${course.title}: ${stepTitles[step.id]}`, unit: 's', goals: step.goals },
          ...Object.entries(figureTitles).map(([figure, [title, unit]]) => ({
            id: `${id}-${figure}`,
            title,
            unit,
            goals: step.figures?.[figure] ?? [],
          })),
        ];
      }),
  );
}
