// Tokens of the .dnn language. Every text lexes: what means nothing becomes UNKNOWN, BAD_NUMBER or BAD_STRING, which
// the front end reports in words.
lexer grammar DnnLexer;

// Keywords: never names.
AND: 'and';
CONST: 'const';
ELSE: 'else';
EMIT: 'emit';
FALSE: 'false';
FN: 'fn';
GENERATE: 'generate';
IF: 'if';
IMPORT: 'import';
LAYER: 'layer';
LET: 'let';
NEXT: 'next';
NOT: 'not';
OPTIMIZER: 'optimizer';
OR: 'or';
PARAM: 'param';
REQUIRE: 'require';
RETURN: 'return';
SCAN: 'scan';
STATE: 'state';
TABLE: 'table';
THEN: 'then';
TRAIN: 'train';
TRUE: 'true';
UPDATE: 'update';
VJP: 'vjp';
WHEN: 'when';
WHERE: 'where';
WITH: 'with';

// Words of training programs and of scans: keywords at their place, names everywhere else (`log(x)`, `seed = 3`).
BEST: 'best';
ACCUMULATE: 'accumulate';
AS: 'as';
CHECKPOINT: 'checkpoint';
DATA: 'data';
EVAL: 'eval';
EVERY: 'every';
EXCEPT: 'except';
FROM: 'from';
IN: 'in';
INIT: 'init';
KEEP: 'keep';
LOG: 'log';
MINIMIZE: 'minimize';
OF: 'of';
ON: 'on';
OPT: 'opt';
OVER: 'over';
PHASE: 'phase';
PREDICT: 'predict';
REVERSE: 'reverse';
RUN: 'run';
SAVE: 'save';
SEED: 'seed';
STEP: 'step';
SWEEP: 'sweep';
THROUGH: 'through';
TRACK: 'track';
UNTIL: 'until';
WHOLE: 'whole';

// Reducers: keywords in front of `[`, names everywhere else (`max(a, b)`).
SUM: 'sum';
PROD: 'prod';
MAX: 'max';
MIN: 'min';
MEAN: 'mean';
ARGMAX: 'argmax';
ARGMIN: 'argmin';
ANY: 'any';
ALL: 'all';

ID: [a-zA-Z_] [a-zA-Z_0-9]*;

INT: [0-9]+;
FLOAT: ([0-9]+ '.' [0-9]+ | '.' [0-9]+) EXPONENT? | [0-9]+ EXPONENT;
BAD_NUMBER: [0-9]+ ('.' [0-9]+)? [a-zA-Z_] [a-zA-Z_0-9]*;
fragment EXPONENT: [eE] [+-]? [0-9]+;

STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '"';
BAD_STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '\\'?;

LPAREN: '(';
RPAREN: ')';
LBRACK: '[';
RBRACK: ']';
LBRACE: '{';
RBRACE: '}';
COMMA: ',';
COLON: ':';
SEMI: ';';
BAR: '|';
TILDE: '~';
ARROW: '->';
DOTDOT: '..';
DOT: '.';
EQ: '==';
NE: '!=';
LE: '<=';
GE: '>=';
LT: '<';
GT: '>';
ASSIGN: '=';
PLUS: '+';
MINUS: '-';
STAR: '*';
SLASH: '/';
PERCENT: '%';

SPACE: [ \t\r\n\uFEFF]+ -> skip;
COMMENT: '#' ~[\n]* -> skip;

UNKNOWN: .;
