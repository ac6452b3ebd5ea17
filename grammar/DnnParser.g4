// The .dnn language. Every statement starts with a keyword, so line breaks mean nothing and an error in one statement
// does not hide the next. Every decision needs one token: what looks ahead further would report errors at the wrong place.
//
// Expressions are parsed flat: a chain is operands and operators in a row, and the front end builds the tree from the
// precedences below. A chain of any length therefore costs no stack, and a parse costs one rule per operand instead of
// one per level of precedence.
//
//   loosest    or
//              and
//              not (prefix)
//              == != < <= > >=        do not chain
//              + -
//              * / %                  a reducer's body reaches to the end of this level: sum[i] a[i] * b[i] + c
//              - (prefix), reducers   is (sum[i] (a[i] * b[i])) + c
//   tightest   f(x)  x[i]  x.name
parser grammar DnnParser;

options {
  tokenVocab = DnnLexer;
}

file: decl* EOF;

// --- Definitions ---

decl: importDecl | constDecl | fnDecl | layerDecl | optimizerDecl | trainDecl;

importDecl: IMPORT STRING;
constDecl: CONST name ASSIGN expr;
fnDecl: FN name signature (block | ASSIGN expr) vjpRule?;
layerDecl: LAYER name signature block;
optimizerDecl: OPTIMIZER name signature block;
trainDecl: TRAIN name block;

// One list is the parameters; of two, the first is the static ones.
signature: declList declList? ARROW type whereClause?;
declList: LPAREN (declItem (COMMA declItem)*)? RPAREN;
declItem: name COLON (type | FN | LAYER) (ASSIGN expr)?;
whereClause: WHERE assignment (COMMA assignment)*;
vjpRule: VJP fields block;

type: LPAREN type (COMMA type)+ RPAREN | name (LBRACK item (COMMA item)* RBRACK)? (LT arithmetic)?;

// --- Statements ---

block: LBRACE stmt* RBRACE;

// Which of these may stand where is checked by the front end.
stmt: letStmt
    | constDecl
    | paramStmt
    | stateStmt
    | updateStmt
    | requireStmt
    | whenStmt
    | returnStmt
    | nextStmt
    | emitStmt
    | untilStmt
    | dataStmt
    | optStmt
    | stepStmt
    | evalStmt
    | wholeStmt
    | predictStmt
    | phaseStmt
    | trackStmt
    | initStmt
    | sweepStmt
    | minimizeStmt
    | logStmt
    | runStmt
    | checkpointStmt
    | fnDecl;

letStmt: LET (fields | name (LBRACK binder (COMMA binder)* RBRACK)?) ASSIGN expr withValues?;
withValues: WITH name ASSIGN expr;
paramStmt: PARAM name COLON type TILDE expr;
stateStmt: STATE name COLON type ASSIGN expr;
updateStmt: UPDATE name ASSIGN expr;
requireStmt: REQUIRE expr (COMMA STRING)?;
// A plain `else { … }` is the last part.
whenStmt: WHEN expr block (ELSE elsePart)*;
elsePart: WHEN expr block | block;
returnStmt: RETURN expr (COMMA expr)*;
nextStmt: NEXT name ASSIGN expr;
emitStmt: EMIT expr (COMMA expr)*;
untilStmt: UNTIL expr;

dataStmt: DATA name ASSIGN source (COMMA assignment)*;
source: tableSource | generateSource | expr;
tableSource: TABLE LBRACE (tableField (COMMA tableField)*)? RBRACE;
tableField: name COLON type ASSIGN expr;
generateSource: GENERATE expr (SEED expr)? block;

optStmt: OPT name ASSIGN expr;
stepStmt: STEP (stepSource (COMMA stepSource)*)? block;
stepSource: fields IN name;
evalStmt: EVAL fields IN name every? block;
wholeStmt: WHOLE fields block;
phaseStmt: PHASE name block;
trackStmt: TRACK name ASSIGN name WITH expr;
initStmt: INIT path FROM STRING (AS STRING)?;
sweepStmt: SWEEP sweepItem (COMMA sweepItem)*;
sweepItem: name IN element;
predictStmt: PREDICT name declList ARROW type limits? block;
// The largest values of dimensions that are open.
limits: WHERE limit (COMMA limit)*;
limit: name LE expr;
// The optimizer is a name; the front end checks it.
minimizeStmt: MINIMIZE expr OVER targets (EXCEPT targets)? WITH expr minimizeOption*;
minimizeOption: every | ACCUMULATE arithmetic | THROUGH expr (COMMA expr)*;
targets: target (COMMA target)*;
// `net.*.b`: whatever names stand between.
target: name (targetMember | subscript)*;
targetMember: DOT (name | STAR);
// Of two names the first is `image`; the front end checks it.
logStmt: LOG logEntry (COMMA logEntry)* every?;
logEntry: name name? ASSIGN expr;
runStmt: RUN runOption (COMMA runOption)*;
runOption: name ASSIGN expr (ON path)?;
checkpointStmt: CHECKPOINT STRING (OF path)? every? (KEEP BEST path)?;

every: EVERY INT? name;
path: name (member | subscript)*;
fields: LPAREN name (COMMA name)* RPAREN;
assignment: name ASSIGN expr;

// --- Expressions ---

expr: ifExpr | scanExpr | chain;
ifExpr: IF expr THEN expr ELSE expr;
scanExpr: SCAN name COLON expr REVERSE? (SAVE EVERY expr)? WITH carry (COMMA carry)* block;
carry: name (COLON type)? ASSIGN expr;

chain: operand (binaryOp operand)*;
binaryOp: PLUS | MINUS | STAR | SLASH | PERCENT | EQ | NE | LT | LE | GT | GE | AND | OR;
arithmetic: operand (arithmeticOp operand)*;
arithmeticOp: PLUS | MINUS | STAR | SLASH | PERCENT;

// A reducer word is one only in front of `[`.
operand: prefix* (reducer (reduction | (call | member) suffix*)? | atom suffix*);
prefix: MINUS | NOT;
reduction: LBRACK binder (COMMA binder)* (BAR expr)? RBRACK operand;
// `p in net` stands alone, in reducers.
binder: STAR? name (COLON expr | IN expr)?;

suffix: call | member | subscript;
call: LPAREN (arg (COMMA arg)*)? RPAREN;
member: DOT name;
subscript: LBRACK item (COMMA item)* (SEMI expr)? RBRACK;

atom: plainName
    | INT
    | FLOAT
    | STRING
    | TRUE
    | FALSE
    | LPAREN expr (COMMA expr)* RPAREN
    | LBRACK (element (COMMA element)*)? RBRACK;

// The front end checks that what stands before `=` is a name.
arg: element (ASSIGN element)?;
element: expr (DOTDOT expr)?;
item: STAR name | expr;

// --- Names ---

name: plainName | reducer;
plainName: ID | ACCUMULATE | AS | BEST | CHECKPOINT | DATA | EVAL | EVERY | EXCEPT | FROM | IN | INIT | KEEP | LOG
         | MINIMIZE | OF | ON | OPT | OVER | PHASE | PREDICT | REVERSE | RUN | SAVE | SEED | STEP | SWEEP | THROUGH | TRACK
         | UNTIL | WHOLE;
reducer: SUM | PROD | MAX | MIN | MEAN | ARGMAX | ARGMIN | ANY | ALL;
