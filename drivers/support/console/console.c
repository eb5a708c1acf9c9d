/*
 * console.c: where a console program begins that fltlab builds: main or wmain, with msvcrt's arguments.
 */

int __getmainargs(int *Count, char ***Arguments, char ***Environment, int Wildcards, void *StartInfo);
int main(int Count, char **Arguments, char **Environment);
void exit(int Code);
char *__iob_func(void);
void *__acrt_iob_func(unsigned int Index);

int _fltused = 0x9875;

/* The streams of msvcrt.dll lie in a row; the headers ask for them as the universal runtime does. */
void *
__acrt_iob_func(unsigned int Index)
{
    return __iob_func() + 48 * Index;
}

void
mainCRTStartup(void)
{
    int StartInfo = 0;
    int Count;
    char **Arguments;
    char **Environment;

    __getmainargs(&Count, &Arguments, &Environment, 0, &StartInfo);
    exit(main(Count, Arguments, Environment));
}
